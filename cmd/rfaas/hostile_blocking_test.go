//go:build cgo

package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A function that makes all that it has block, and never returns, does not make its
// caller block: the time limit ends it, and so does a signal.
func TestRunBlockingFunction(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]func(s *started){
		"timeout": func(s *started) {
			require.Equal(t, exitFailed, s.wait())
			require.Contains(t, s.stdout.String(), "in: not done in time: ")
		},
		"signal": func(s *started) {
			require.True(t, eventually(programTimeout, func() bool { return strings.Contains(s.stderr.String(), "all is blocking") }))
			s.signal(syscall.SIGTERM)
			require.Equal(t, exitInterrupted, s.wait())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			compile(t, filepath.Join(dir, "hostile.so"), read(t, "testdata/hostile.c"))
			write(t, dir, "in", "")
			args := []string{"run", "-f", "hostile.so:blocking", "-o", "out", "in"}
			if name == "timeout" {
				args = append(args, "--timeout", "1s")
			}
			s := start(t, dir, args...)
			ending(s)
			require.Contains(t, s.stderr.String(), "all is blocking")
		})
	}
}
