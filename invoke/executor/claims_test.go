package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/transcript"
	"github.com/rfaas-go/rfaas/invoke"
)

// record is a line of a log in JSON, without the time.
type record map[string]any

// records are what a supervisor logs.
type records struct{ transcript.Transcript }

func (r *records) logger(level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(r, &slog.HandlerOptions{Level: level}))
}

func (r *records) all(t *testing.T) (list []record) {
	t.Helper()
	for line := range strings.Lines(r.String()) {
		var got record
		require.NoError(t, json.Unmarshal([]byte(line), &got), line)
		delete(got, slog.TimeKey)
		list = append(list, got)
	}
	return list
}

// claimAll is a function that writes its input to its executor's log, as native code
// can: again and again, until the pipe is closed, up to a limit.
func claimAll(_ context.Context, in, out []byte) (int, error) {
	for range 4 * maxLogBytes / len(in) {
		if _, err := unix.Write(logFD, in); err != nil {
			return copy(out, err.Error()), nil
		}
	}
	return copy(out, "all was read"), nil
}

// A supervisor logs what an executor logs, as the executor's, at the level that the
// supervisor's log had when the executor started.
func TestExecutorsLog(t *testing.T) {
	t.Parallel()
	for level, connected := range map[slog.Level]bool{slog.LevelInfo: true, slog.LevelWarn: false} {
		var logged records
		var said printed
		var wanted slog.LevelVar
		wanted.Set(level)
		s := supervise(t, Config{Logger: logged.logger(&wanted), Output: said.add})
		e := begin(t, s, assignmentOf("panic"))
		wanted.Set(slog.LevelDebug)
		_, err := call(t, e, "panic", "")
		require.ErrorIs(t, err, invoke.ErrCrashed)
		e.Stop(patience)
		found := map[any]record{}
		for _, r := range logged.all(t) {
			found[r["msg"]] = r
		}
		crash := found["executor: function crashed"]
		require.NotNil(t, crash)
		claimed := crash["executor"].(map[string]any)
		require.Equal(t, "panic", claimed["function"])
		require.Contains(t, claimed["reason"], "at the function")
		require.NotEmpty(t, claimed["peer"])
		delete(crash, "executor")
		require.Equal(t, record{"level": "ERROR", "msg": "executor: function crashed", "process": float64(e.PID())}, crash)
		require.Equal(t, connected, found["executor: client connected"] != nil)
		require.Empty(t, said.lines, "the log is not printed")
	}
}

// inherit is a function that starts a program, and returns what that has as logFD.
func inherit(ctx context.Context, _, out []byte) (int, error) {
	said, err := exec.CommandContext(ctx, "readlink", fmt.Sprint("/proc/self/fd/", logFD)).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return copy(out, said), nil
}

// A program that a function starts does not inherit the log: it would keep it open.
func TestLogIsNotInherited(t *testing.T) {
	t.Parallel()
	require.Empty(t, mustCall(t, begin(t, supervise(t, Config{}), assignmentOf("inherit")), "inherit", ""))
}

// An executor is asked only for the levels that are logged.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	for want, log := range map[slog.Level]*slog.Logger{
		slog.LevelDebug: (&records{}).logger(slog.LevelDebug - 1), slog.LevelInfo + 1: (&records{}).logger(slog.LevelInfo + 1),
		slog.LevelError: (&records{}).logger(slog.LevelError), slog.LevelError + 1: slog.New(slog.DiscardHandler),
	} {
		require.Equal(t, want, (&claims{log: log}).level())
	}
}

// Whatever a record contains, it is logged as the executor's claim, in visible characters.
func TestClaims(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]record{
		`{"level":"INFO","msg":"m"}`: {"level": "INFO", "msg": "executor: m"},
		`{"time":"x","level":"ERROR+100","msg":"manager lost","process":1,"executor":2,"f":1.5,"t":true,"n":null}`: {
			"level": "ERROR", "msg": "executor: manager lost",
			"executor": map[string]any{"process": 1.0, "executor": 2.0, "f": 1.5, "t": true, "n": "null"},
		},
		`{"level":"WARN","msg":"a\nlevel=ERROR\u001b[2J\u009b\u202e","\u001b\n= a":"\u009b31m\"","g":{"process":[1,"` + "\u009b" + `"]}}`: {
			"level": "WARN", "msg": `executor: a\nlevel=ERROR\x1b[2J\u009b\u202e`,
			"executor": map[string]any{`\x1b\n= a`: `\u009b31m"`, "g": `{"process":[1,"\u009b"]}`},
		},
		`{"level":"DEBUG","msg":"not wanted"}`: nil,
	} {
		var logged records
		require.True(t, claim(logged.logger(slog.LevelInfo).With("process", 7), []byte(line)), line)
		got := logged.all(t)
		if want == nil {
			require.Empty(t, got)
			continue
		}
		want["process"] = 7.0
		require.Equal(t, []record{want}, got)
	}
	require.Equal(t, slog.Int64Value(1<<53+1), claimedValue(json.RawMessage("9007199254740993")))
	for _, line := range []string{
		"", "\n", "null", "7", "level=ERROR msg=x", `{"msg":"no level"}`, `{"level":"INFO"}`, `{"level":"LOUD","msg":""}`, `{"level":"INFO","msg":7}`,
		`{"level":"INFO","msg":"one"}{"level":"INFO","msg":"two"}`, `{"level":"INFO","msg":"`,
	} {
		var logged records
		require.False(t, claim(logged.logger(slog.LevelInfo), []byte(line)), line)
		require.Empty(t, logged.all(t))
	}
}

// In text, too, a record cannot pretend to be another's.
func TestClaimsAsText(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	require.True(t, claim(log.With("process", 7), []byte(`{"level":"WARN","msg":"a\nlevel=ERROR\u001b[2J","b c":"\u009b\" process=1","process":1}`)))
	require.Equal(t, `level=WARN msg="executor: a\\nlevel=ERROR\\x1b[2J" process=7 "executor.b c"="\\u009b\" process=1" executor.process=1`+"\n", text.String())
}

// A line that is no record is counted, and not shown. The lines after it are read.
func TestLogOfGarbage(t *testing.T) {
	t.Parallel()
	good := `{"level":"INFO","msg":"good"}` + "\n"
	got := readClaims(t, "level=ERROR msg=garbage\n"+good+strings.Repeat("x", 2*maxRecordBytes)+"\n"+
		`{"level":"INFO","msg":"`+strings.Repeat("y", maxRecordBytes)+`"}`+"\n"+good+`{"level":"INFO","msg":"cut o`, false)
	claimed := record{"level": "INFO", "msg": "executor: good", "process": 7.0}
	require.Equal(t, []record{claimed, claimed, {"level": "WARN", "msg": "not all that an executor has logged are records", "process": 7.0, "lines_lost": 4.0}}, got)
}

// A process that holds the log open, such as one that the executor has left, does not keep
// the executor from ending.
func TestLogHeldOpen(t *testing.T) {
	t.Parallel()
	got := readClaims(t, `{"level":"INFO","msg":"the last"}`+"\n", true)
	require.Equal(t, []record{{"level": "INFO", "msg": "executor: the last", "process": 7.0}}, got)
}

// readClaims returns what a supervisor logs of a text in the pipe, which another process may hold
// open.
func readClaims(t *testing.T, text string, held bool) []record {
	t.Helper()
	var logged records
	c, file, err := claimsPipe(logged.logger(slog.LevelInfo))
	require.NoError(t, err)
	defer file.Close()
	go c.read(7)
	must(io.WriteString(file, text))
	if !held {
		file.Close()
	}
	c.end()
	return logged.all(t)
}

// What a function writes to the log without end is read up to a limit. Its executor keeps
// serving, and the logs of others lose nothing.
func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{"endless line": "x", "records": `{"level":"ERROR","msg":"manager lost"}` + "\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged records
			s := supervise(t, Config{Logger: logged.logger(slog.LevelWarn)})
			e, other := begin(t, s, assignmentOf("claim")), begin(t, s, assignmentOf("panic"))
			require.Equal(t, "broken pipe", mustCall(t, e, "claim", strings.Repeat(line, 4000/len(line))))
			require.Equal(t, "hello", mustCall(t, e, "other", "hello"))
			_, err := call(t, other, "panic", "")
			require.ErrorIs(t, err, invoke.ErrCrashed)
			e.Stop(patience)
			other.Stop(patience)
			count := map[any]int{}
			for _, r := range logged.all(t) {
				count[fmt.Sprint(r["process"] == float64(e.PID()), " ", r["msg"])]++
			}
			claimed := 0
			if name == "records" {
				claimed = maxLogBytes / len(line)
			}
			require.Equal(t, claimed, count["true executor: manager lost"])
			require.Equal(t, 1, count["true an executor has logged too much, and the rest is lost"])
			require.Equal(t, 1, count["false executor: function crashed"])
		})
	}
}
