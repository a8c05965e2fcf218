package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// The environment says which transport to use; the flag says otherwise.
func TestTransportOfEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "input", "x")
	with := func(url string, args ...string) *started {
		return startWith(t, dir, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, transportVariable+"="+url) }, args...)
	}
	for _, args := range [][]string{
		{"run", "-f", "echo", "input"}, {"invoke", "echo"}, {"agent", "--state", "state"}, {"manager", "--listen", "127.0.0.1:0", "--state", "state"},
	} {
		s := with("tin:", args...)
		require.Equal(t, exitUsage, s.wait())
		require.Contains(t, s.stderr.String(), `: $RFAAS_TRANSPORT tin: unknown transport "tin"; there are: loopback, shm, `)
		require.Contains(t, succeed(t, dir, args[0], "--help"), `(default "shm:", or $RFAAS_TRANSPORT)`)
	}
	s := with("verbs:", "agent", "--state", "state")
	require.Equal(t, exitUsage, s.wait())
	require.Contains(t, s.stderr.String(), ": $RFAAS_TRANSPORT verbs: RoCE packets are neither")
	s = with("tin:", "invoke", "echo", "--data", "x", "--transport", "shm:")
	require.Equal(t, exitOK, s.wait(), s.stderr.String())
	s = with("shm", "run", "-f", "echo", "input")
	require.Equal(t, exitOK, s.wait(), s.stderr.String())
	require.Equal(t, "x", s.stdout.String())
	s = with("shm:", "bench", "send-lat", "--mode", "warm", "--iterations", "10", "--json")
	require.Equal(t, exitOK, s.wait(), s.stderr.String())
	s = with("tin:", "bench", "send-lat")
	require.Equal(t, exitUsage, s.wait())
	require.Contains(t, s.stderr.String(), `: $RFAAS_TRANSPORT tin: unknown transport "tin"`)
	require.NotContains(t, succeed(t, dir, "roce", "pingpong", "--help"), transportVariable, "it is for RoCE alone")
}
