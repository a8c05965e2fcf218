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

// The page shows these programs, to the letter; each has at most 30 lines without the
// helper at the end.
func TestPageShowsThis(t *testing.T) {
	shown := pageFiles(t, "EMBED.md")
	for _, file := range []string{"main.go", "worker/main.go"} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(source), shown[file])
		program, _, found := strings.Cut(string(source), "\nfunc must[")
		require.True(t, found)
		require.LessOrEqual(t, strings.Count(program, "\n"), 30)
	}
}

// The program does what it says: a thousand calls over two workers, both of which do
// their part, and one is killed half-way.
func TestThreeProcesses(t *testing.T) {
	name := "@quickstart-" + rand.Text() + "-" // the one that they show is everybody's on this machine
	caller, worker := build(t, ".", 2, name), build(t, "worker", 1, name)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	start := func(binary string, args ...string) (*exec.Cmd, io.Reader) {
		cmd := exec.CommandContext(ctx, binary, args...)
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd, out
	}
	one, _ := start(worker, "one")
	two, _ := start(worker, "two")
	for _, each := range []string{"one", "two"} {
		for { // until it listens
			stream, err := net.Dial("unix", name+each)
			if err == nil {
				stream.Close()
				break
			}
			require.NoError(t, ctx.Err(), err)
			time.Sleep(time.Millisecond)
		}
	}
	_, out := start(caller)
	by := map[string]int{}
	seen := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		call, each, ok := strings.Cut(lines.Text(), " by ")
		require.True(t, ok, lines.Text())
		seen[call] = true
		if by[each]++; len(seen) == 500 {
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

// build makes a program, with another name of the sockets in the places where it has
// the one that is shown.
func build(t *testing.T, folder string, places int, name string) (binary string) {
	t.Helper()
	const shown = "@quickstart-"
	dir := t.TempDir()
	original, err := filepath.Abs(filepath.Join(folder, "main.go"))
	require.NoError(t, err)
	source, err := os.ReadFile(original)
	require.NoError(t, err)
	require.Equal(t, places, strings.Count(string(source), shown))
	own := strings.ReplaceAll(string(source), shown, name)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(own), 0o600))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: filepath.Join(dir, "main.go")}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	binary = filepath.Join(dir, "quickstart")
	out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./"+folder).CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}
