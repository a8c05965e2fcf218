package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

// testFunctions are offered by the program when the tests run it.
var testFunctions = []function{
	testFunction("test-work", true, work),
	testFunction("test-work-once", false, work),
	testFunction("test-signed-work", true, signedWork),
	testFunction("test-gate", true, gate),
	testFunction("test-suicide", true, suicide),
	testFunction("test-suicide-once", false, suicide),
	testFunction("test-stuck", true, stuck),
	testFunction("test-panic", true, func(context.Context, []byte, []byte) (int, error) { panic("the function's own") }),
	testFunction("test-double", true, double),
}

func testFunction(name string, idempotent bool, f invoke.Function) function {
	return function{
		name: name, about: "for tests", call: f, idempotent: idempotent,
		resultBytes: func(n int64) int64 { return n + 64 },
	}
}

// worked is the result of work.
func worked(input string) string { return "worked on " + input }

// work keeps the processor busy for 2 ms.
func work(_ context.Context, in, out []byte) (int, error) {
	for begin := time.Now(); time.Since(begin) < 2*time.Millisecond; {
	}
	return copy(out, worked(string(in))), nil
}

// signedWork is work whose result ends with the id of the process, on a line of
// its own.
func signedWork(ctx context.Context, in, out []byte) (int, error) {
	n, err := work(ctx, in, out)
	return n + copy(out[n:], fmt.Sprint("\n", os.Getpid())), err
}

// gate creates the file named in its input with ".entered" behind it, and waits
// until the file itself exists.
func gate(ctx context.Context, in, out []byte) (int, error) {
	path := strings.TrimSpace(string(in))
	if err := os.WriteFile(path+".entered", nil, 0o666); err != nil {
		return 0, err
	}
	for ctx.Err() == nil {
		if _, err := os.Stat(path); err == nil {
			return copy(out, "passed"), nil
		}
		time.Sleep(time.Millisecond)
	}
	return 0, ctx.Err()
}

// suicide kills its own process for an input that asks for it.
func suicide(_ context.Context, in, out []byte) (int, error) {
	if bytes.HasPrefix(in, []byte("kill")) {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal arrives
	}
	return copy(out, in), nil
}

// stuck does not care whether anybody waits for it.
func stuck(_ context.Context, in, _ []byte) (int, error) {
	os.WriteFile(strings.TrimSpace(string(in))+".entered", nil, 0o666)
	time.Sleep(time.Hour)
	return 0, nil
}

// double makes a result of twice the input's length.
func double(_ context.Context, in, out []byte) (int, error) {
	if 2*len(in) > len(out) {
		return 2 * len(in), nil
	}
	return copy(out, bytes.Repeat(in, 2)), nil
}

func TestFindFunction(t *testing.T) {
	t.Parallel()
	f, err := findFunction("thumbnailer")
	require.NoError(t, err)
	require.Equal(t, ".jpg", f.extension)

	_, err = findFunction("thumbnail")
	status, message := statusOf(err)
	require.Equal(t, exitUsage, status)
	require.ErrorContains(t, message, `unknown function "thumbnail"; there are: thumbnailer, black-scholes, echo, noop`)
}

// What is set aside for a result is enough for what the functions say of theirs.
func TestResultBytes(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("type,spot,strike,rate,volatility,expiry\n")
	for i := range 1000 {
		fmt.Fprintf(&table, "C,%d,1,0,1,3\n", 1+i%9)
	}
	for name, input := range map[string]string{"black-scholes": table.String(), "echo": strings.Repeat("x", 5000), "noop": ""} {
		f, err := findFunction(name)
		require.NoError(t, err)
		out := make([]byte, f.resultBytes(int64(len(input))))
		_, err = f.call(context.Background(), []byte(input), out)
		require.NoError(t, err, name)
	}
}
