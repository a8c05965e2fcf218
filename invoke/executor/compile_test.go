package executor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// compileText is a compiler that behaves as the code says.
func compileText(ctx context.Context, c Code) ([]byte, error) {
	text, err := io.ReadAll(io.NewSectionReader(c.File, 0, 1<<20))
	switch string(text) {
	case "mistake":
		return nil, errors.New("line 1: a mistake")
	case "nothing to compile":
		return nil, nil
	case "forever":
		select {}
	case "memory":
		for all := []byte{}; ; {
			all = append(all, bytes.Repeat([]byte("x"), len(all)+1<<20)...)
		}
	case "crash":
		os.Exit(3)
	case "/etc/shadow":
		_, err = os.ReadFile(string(text))
	}
	return bytes.ToUpper(text), err
}

// Code is compiled by a process that ends afterwards, with limits of time, memory and access.
func TestCompile(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Confine: confined()})
	compile := func(ctx context.Context, text string, c Compilation) (*os.File, error) {
		t.Helper()
		code := must(SealedCode("text", strings.NewReader(text)))
		defer code.Close()
		c.Code = code
		if c.Runtime == "" {
			c.Runtime = "text"
		}
		return s.Compile(ctx, c)
	}
	compiled, err := compile(t.Context(), "text", Compilation{})
	require.NoError(t, err)
	defer compiled.Close()
	result := must(io.ReadAll(compiled))
	require.Equal(t, "TEXT", string(result))
	_, err = compiled.WriteAt([]byte("t"), 0)
	require.ErrorIs(t, err, unix.EPERM, "it is sealed")

	compiled, err = compile(t.Context(), "nothing to compile", Compilation{})
	require.NoError(t, err)
	require.Nil(t, compiled)

	for text, c := range map[string]struct {
		want   string
		limits Compilation
	}{
		"mistake":     {want: "line 1: a mistake"},
		"crash":       {want: "ended with exit status 3"},
		"/etc/shadow": {want: "open /etc/shadow"},
		"memory":      {"memory", Compilation{CompilerBytes: 96 << 20}},
		"forever":     {"compiling it takes longer than 10ms", Compilation{TimeLimit: 10 * time.Millisecond}},
	} {
		_, err = compile(t.Context(), text, c.limits)
		require.ErrorAs(t, err, new(*OrderError), text)
		require.ErrorContains(t, err, c.want)
	}

	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the user pressed Ctrl-C"))
	_, err = compile(cancelled, "forever", Compilation{})
	require.ErrorContains(t, err, "Ctrl-C")
	require.NotErrorAs(t, err, new(*OrderError), "the code is not to blame")

	_, err = compile(t.Context(), "text", Compilation{Runtime: "other"})
	require.ErrorContains(t, err, `no compiler for the runtime "other"; there are: text`)
}
