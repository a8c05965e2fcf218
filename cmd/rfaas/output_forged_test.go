//go:build cgo

package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// forged are the lines of testdata/forger.c.
var forged = []string{
	`time=2026-01-01T00:00:00.000Z level=ERROR msg="manager lost" process=1`,
	`{"time":"2026-01-01T00:00:00Z","level":"ERROR","msg":"manager lost","process":1}`,
	`rfaas invoke: the manager is lost`,
	`\rrfaas invoke: \x1b[2Jthe manager is lost`,
}

// invokeForger calls a function that forges lines, and returns what the operator sees.
func invokeForger(t *testing.T, flags ...string) (lines []string) {
	t.Helper()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "forger.so"), read(t, "testdata/forger.c"))
	status, stdout, stderr := run(t, dir, append(flags, "invoke", "forger.so", "--data", "x")...)
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "done", stdout)
	return strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
}

// A function cannot forge a line of the program's log: not by printing one, nor by
// writing to where its executor logs.
func TestForgedLines(t *testing.T) {
	t.Parallel()
	output := regexp.MustCompile(`^forge\[(\d+)\] ([|!]) (.*)$`)
	logged := regexp.MustCompile(`^time=\S+ level=(\w+) msg=("[^"]*"|\S+)( .*)?$`)
	printed := map[string][]string{}
	var pid string
	msgs := map[string]string{}
	for _, line := range invokeForger(t, "--log-level", "info") {
		if m := output.FindStringSubmatch(line); m != nil {
			pid, printed[m[2]] = m[1], append(printed[m[2]], m[3])
			continue
		}
		m := logged.FindStringSubmatch(line)
		require.NotNil(t, m, line)
		msgs[m[2]] = line
	}
	require.Equal(t, map[string][]string{"|": forged, "!": forged}, printed)
	require.NotContains(t, msgs, `"manager lost"`)
	require.Regexp(t, ` level=ERROR msg="executor: manager lost" process=`+pid+` executor\.process=1$`, msgs[`"executor: manager lost"`])
	require.Regexp(t, ` level=INFO msg="executor: client connected" process=`+pid+` executor\.peer=`, msgs[`"executor: client connected"`])
	require.Regexp(t, ` level=WARN msg="not all that an executor has logged are records" process=`+pid+` lines_lost=3$`, msgs[`"not all that an executor has logged are records"`])
}

func TestForgedLinesAsJSON(t *testing.T) {
	t.Parallel()
	printed := map[any][]string{}
	var pid any
	msgs := map[any]map[string]any{}
	for _, line := range invokeForger(t, "--log-level", "warn", "--log-format", "json") {
		var r map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &r), line)
		delete(r, "time")
		if r["msg"] == "function output" {
			pid, printed[r["stream"]] = r["process"], append(printed[r["stream"]], r["text"].(string))
			require.Equal(t, map[string]any{"level": "INFO", "msg": "function output", "process": pid, "function": "forge", "stream": r["stream"], "text": r["text"]}, r)
			continue
		}
		msgs[r["msg"]] = r
	}
	require.Equal(t, map[any][]string{"stdout": forged, "stderr": forged}, printed)
	lost := "not all that an executor has logged are records"
	require.Equal(t, map[any]map[string]any{
		"executor: manager lost": {"level": "ERROR", "msg": "executor: manager lost", "process": pid, "executor": map[string]any{"process": 1.0}},
		lost:                     {"level": "WARN", "msg": lost, "process": pid, "lines_lost": 3.0},
	}, msgs)
}
