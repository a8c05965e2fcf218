package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The README shows this program, to the letter; what it shows has at most 45
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
	require.LessOrEqual(t, strings.Count(shown, "\n"), 45)
}

// The program does what it says: a thousand calls over two workers, both of which do
// their part, and one is killed half-way.
func TestThreeProcesses(t *testing.T) {
	binary, name := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	start := func(args ...string) (*exec.Cmd, io.Reader) {
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd, out
	}
	one, _ := start("one")
	two, _ := start("two")
	for _, worker := range []string{"one", "two"} {
		for { // until it listens
			stream, err := net.Dial("unix", name+worker)
			if err == nil {
				stream.Close()
				break
			}
			require.NoError(t, ctx.Err(), err)
			time.Sleep(time.Millisecond)
		}
	}
	_, out := start()
	by := map[string]int{}
	seen := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		call, worker, ok := strings.Cut(lines.Text(), " by ")
		require.True(t, ok, lines.Text())
		seen[call] = true
		if by[worker]++; len(seen) == 500 {
			require.NoError(t, two.Process.Kill())
			t.Logf("of the first half, %d by one and %d by two", by["one"], by["two"])
			require.InDelta(t, 250, by["one"], 100)
		}
	}
	for i := range 1000 {
		require.True(t, seen[fmt.Sprint("CALL ", i)], "call %d", i)
	}
	require.Nil(t, one.ProcessState)
}

// build makes the program with a socket name of its own: the one that it shows is
// everybody's on this machine.
func build(t *testing.T) (binary, name string) {
	t.Helper()
	const shown = "@quickstart-"
	dir := t.TempDir()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(source), shown))
	name = "@quickstart-" + rand.Text() + "-"
	own := strings.ReplaceAll(string(source), shown, name)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(own), 0o600))
	original, err := filepath.Abs("main.go")
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: filepath.Join(dir, "main.go")}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	binary = filepath.Join(dir, "quickstart")
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return binary, name
}
