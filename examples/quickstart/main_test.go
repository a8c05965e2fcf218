package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	binary := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var said bytes.Buffer
	worker := exec.CommandContext(ctx, binary, "worker")
	worker.Stdout, worker.Stderr = &said, &said
	require.NoError(t, worker.Start())
	ended := make(chan struct{})
	go func() {
		worker.Wait()
		close(ended)
		cancel() // nobody else answers the client
	}()
	defer func() { cancel(); <-ended }()
	for { // until the worker listens
		out, err := exec.CommandContext(ctx, binary).CombinedOutput()
		if err == nil {
			require.Equal(t, "HELLO FROM ANOTHER PROCESS\n", string(out))
			return
		}
		if ctx.Err() != nil {
			<-ended
			require.Fail(t, "the worker has ended, or the time is up", "worker: %v: %s; client: %v: %s", worker.ProcessState, &said, err, out)
		}
		require.Contains(t, string(out), "refused")
	}
}

// build makes the program with a socket name of its own: the one that it shows is
// everybody's on this machine.
func build(t *testing.T) string {
	t.Helper()
	const shown = `"@quickstart"`
	dir := t.TempDir()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(source), shown))
	own := strings.ReplaceAll(string(source), shown, strconv.Quote("@quickstart-"+rand.Text()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(own), 0o600))
	original, err := filepath.Abs("main.go")
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: filepath.Join(dir, "main.go")}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	binary := filepath.Join(dir, "quickstart")
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}
