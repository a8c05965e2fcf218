package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// gated starts a run in which workers wait at a gate, and returns when they do.
func gated(t *testing.T, function string) (s *started, dir string, open func()) {
	t.Helper()
	dir = t.TempDir()
	args := []string{"run", "-f", function, "--workers", "2", "-o", "out"}
	for i := range 6 {
		args = append(args, write(t, dir, fmt.Sprintf("in/%d", i), filepath.Join(dir, "gate", fmt.Sprint(i))))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "gate"), 0o777))
	write(t, dir, "gate/0", "open") // two are done
	write(t, dir, "gate/1", "open")
	if function == "test-stuck" {
		args = append(args[:7], args[9:]...)
	}
	s = start(t, dir, args...)
	for _, i := range []string{"2", "3"} {
		require.True(t, eventually(10*time.Second, func() bool {
			_, err := os.Stat(filepath.Join(dir, "gate", i+".entered"))
			return err == nil
		}))
	}
	return s, dir, func() {
		write(t, dir, "gate/2", "open")
		write(t, dir, "gate/3", "open")
	}
}

// Ctrl-C: no new inputs; what is running finishes and is kept.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			if signal.Ignored(sig) {
				t.Skipf("%v is ignored here, and so by what is started from here: run without nohup and in the foreground", sig)
			}
			s, dir, open := gated(t, "test-gate")
			s.signal(sig)
			require.True(t, eventually(10*time.Second, func() bool { return strings.Contains(s.stderr.String(), "interrupted") }))
			open()

			require.Equal(t, exitInterrupted, s.wait())
			require.Equal(t, "rfaas run: interrupted: what is running has 5s; Ctrl-C again ends at once\n", s.stderr.String())
			require.Contains(t, s.stdout.String(), "test-gate: 4 of 6 inputs done, 2 not tried, in ")
			require.Contains(t, s.stdout.String(), "not tried: 2 inputs, from in/4 on: interrupted\n")
			require.Equal(t, []string{"0", "1", "2", "3"}, namesIn(t, dir, "out"))
			for _, name := range namesIn(t, dir, "out") {
				require.Equal(t, "passed", read(t, dir, "out", name))
			}
		})
	}
}

// The second Ctrl-C does not wait for anything, even if the function does not
// listen; what was finished before is kept.
func TestRunInterruptedTwice(t *testing.T) {
	t.Parallel()
	for _, function := range []string{"test-gate", "test-stuck"} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			s, dir, _ := gated(t, function)
			s.signal(syscall.SIGINT)
			require.True(t, eventually(10*time.Second, func() bool { return strings.Contains(s.stderr.String(), "interrupted") }))
			begin := time.Now()
			s.signal(syscall.SIGINT)

			require.Equal(t, exitInterrupted, s.wait())
			require.Less(t, time.Since(begin), stopGrace, "it waited for the end of the grace period")
			require.Contains(t, s.stdout.String(), "  in/2: interrupted\n  in/3: interrupted\nnot tried: 2 inputs, from in/4 on: interrupted\n")
			if function == "test-gate" {
				require.Equal(t, []string{"0", "1"}, namesIn(t, dir, "out"))
			}
		})
	}
}

// The end of the grace period has the same effect.
func TestRunInterruptedAndStuck(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes the whole grace period")
	}
	s, _, _ := gated(t, "test-gate")
	s.signal(syscall.SIGINT)

	require.Equal(t, exitInterrupted, s.wait())
	require.Contains(t, s.stdout.String(), "  in/2: interrupted\n  in/3: interrupted\nnot tried: 2 inputs, from in/4 on: interrupted\n")
}
