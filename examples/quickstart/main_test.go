package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The README shows this program, to the letter; what it shows has at most 30
// lines without the helper at the end.
func TestReadmeShowsThis(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(readme), "<!-- examples/quickstart/main.go -->\n```go\n")
	require.True(t, found)
	shown, _, found := strings.Cut(after, "```")
	require.True(t, found)
	program, _, found := strings.Cut(string(source), "\nfunc must[")
	require.True(t, found)
	require.Equal(t, program, shown)
	require.LessOrEqual(t, strings.Count(shown, "\n"), 30)
}

// The program does what it says, in two processes.
func TestTwoProcesses(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "quickstart")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	worker := exec.CommandContext(ctx, binary, "worker")
	worker.Stderr = os.Stderr
	require.NoError(t, worker.Start())
	defer func() {
		cancel()
		worker.Wait()
	}()
	for { // until the worker listens
		out, err = exec.CommandContext(ctx, binary).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "refused") || ctx.Err() != nil {
			break
		}
	}
	require.NoError(t, err, string(out))
	require.Equal(t, "HELLO FROM ANOTHER PROCESS\n", string(out))
}
