package executor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/visible"
)

// newLog is the log of an executor; the supervisor logs its records again.
func newLog(level slog.Level) *slog.Logger {
	unix.CloseOnExec(logFD) // a program that a function starts must not inherit it
	return slog.New(slog.NewJSONHandler(os.NewFile(logFD, "log"), &slog.HandlerOptions{Level: level}))
}

// Bounds of an executor's log.
const (
	maxLogBytes    = 1 << 20  // in all
	maxRecordBytes = 16 << 10 // of a record
)

// claims logs what an executor logs. Native code can write to the executor's end of the
// pipe as well, so all of it is marked as claimed: messages begin with "executor: ", and
// attributes are in a group of that name.
type claims struct {
	from *os.File
	log  *slog.Logger
	done chan struct{} // closed when all was read
}

// claimsPipe makes the pipe; file is the executor's end, to be closed after its start.
func claimsPipe(log *slog.Logger) (c *claims, file *os.File, err error) {
	from, file, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return &claims{from: from, log: log, done: make(chan struct{})}, file, nil
}

// level is the lowest level that is logged.
func (c *claims) level() slog.Level {
	level := slog.LevelDebug
	for level <= slog.LevelError && !c.log.Enabled(context.Background(), level) {
		level++
	}
	return level
}

// read logs the records of a process until its end of the pipe is closed, or it has
// written too much.
func (c *claims) read(pid int) {
	defer close(c.done)
	defer c.from.Close()
	log := c.log.With("process", pid)
	pipe := &io.LimitedReader{R: c.from, N: maxLogBytes}
	bad := 0
	for lines := bufio.NewReaderSize(pipe, maxRecordBytes); ; {
		line, err := lines.ReadSlice('\n')
		if len(line) == 0 {
			break
		}
		if err != nil || !claim(log, line) {
			bad++
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
	}
	if bad > 0 {
		log.Warn("not all that an executor has logged are records", "lines_lost", bad)
	}
	if pipe.N <= 0 {
		log.Warn("an executor has logged too much, and the rest is lost", "limit_bytes", maxLogBytes)
	}
}

// end waits until all that the process has written is read. The process has ended, but
// another one may hold the pipe open: the wait is bounded.
func (c *claims) end() {
	c.from.SetReadDeadline(time.Now().Add(outputDelay)) // an error means that it is closed
	<-c.done
}

// claim logs a record; ok is false if the line is not one.
func claim(log *slog.Logger, line []byte) (ok bool) {
	var fields map[string]json.RawMessage
	var level slog.Level
	var message string
	if json.Unmarshal(line, &fields) != nil || json.Unmarshal(fields[slog.LevelKey], &level) != nil || json.Unmarshal(fields[slog.MessageKey], &message) != nil {
		return false
	}
	for _, key := range []string{slog.TimeKey, slog.LevelKey, slog.MessageKey} {
		delete(fields, key)
	}
	var attrs []slog.Attr
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		attrs = append(attrs, slog.Attr{Key: visible.Text(key), Value: claimedValue(fields[key])})
	}
	log.LogAttrs(context.Background(), min(level, slog.LevelError), "executor: "+visible.Text(message),
		slog.Attr{Key: "executor", Value: slog.GroupValue(attrs...)})
	return true
}

// claimedValue decodes the value of an attribute: a number, a boolean, or a text, made
// visible.
func claimedValue(raw json.RawMessage) slog.Value {
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return slog.Int64Value(n)
	}
	var v any
	if json.Unmarshal(raw, &v) == nil {
		switch v := v.(type) {
		case float64:
			return slog.Float64Value(v)
		case bool:
			return slog.BoolValue(v)
		case string:
			return slog.StringValue(visible.Text(v))
		}
	}
	return slog.StringValue(visible.Text(string(raw)))
}
