package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The program has at most 30 lines, imports included, without the helper at its end.
func TestShort(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, program, _ := strings.Cut(string(source), "\nimport (")
	program, _, found := strings.Cut(program, "\nfunc must[")
	require.True(t, found)
	require.LessOrEqual(t, strings.Count(program, "\n"), 30)
}

// The program does what it says, over two transports, with a manager and an agent beside
// it.
func TestCluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for binary, folder := range map[string]string{"rfaas": "../../cmd/rfaas", "lease": "."} {
		out, err := exec.Command("go", "build", "-ldflags=-w", "-o", filepath.Join(dir, binary), folder).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	start := func(args ...string) *bufio.Reader {
		cmd := exec.CommandContext(ctx, filepath.Join(dir, "rfaas"), args...)
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir+"/state", "XDG_CACHE_HOME="+dir+"/cache")
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
		return bufio.NewReader(out)
	}
	line, err := start("manager", "--listen", "127.0.0.1:0", "--state", dir+"/manager").ReadString('\n')
	require.NoError(t, err)
	var url string
	_, err = fmt.Sscanf(line, "manager at %s", &url)
	require.NoError(t, err, line)
	out := start("agent", "--name", "node", "--manager", url, "--listen", "unix:"+dir+"/agent", "--listen", "tcp:127.0.0.1:0",
		"--cores", "2", "--transport", "shm:", "--transport", "softroce://127.0.0.1:0")
	_, err = out.ReadString('\n')
	require.NoError(t, err)
	go io.Copy(io.Discard, out)
	for _, transport := range []string{"shm:", "softroce://127.0.0.1:0"} {
		said, err := exec.CommandContext(ctx, filepath.Join(dir, "lease"), transport, url).Output()
		require.NoError(t, err, transport)
		seen := map[string]bool{}
		for call := range strings.Lines(string(said)) {
			seen[call] = true
		}
		require.Len(t, seen, 1000, transport)
		require.Contains(t, seen, "call 999\n")
	}
}
