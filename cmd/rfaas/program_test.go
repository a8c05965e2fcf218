//go:build cgo

package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// upperProgram is a whole program, which reads its input to the end.
const upperProgram = `package main

import (
	"bytes"
	"io"
	"os"
)

func main() {
	in, err := io.ReadAll(os.Stdin)
	if err != nil || len(in) == 0 {
		os.Stderr.WriteString("there is no input\n")
		os.Exit(3)
	}
	os.Stdout.Write(bytes.ToUpper(in))
}
`

// A program of another tool is called as it is: from standard input to standard output.
func TestWasmProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "upper.go", upperProgram)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "upper.wasm", "upper.go")
	build.Dir, build.Env = dir, append(build.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "ABC", succeed(t, dir, "invoke", "upper.wasm", "--data", "abc", "--trust-code"))
	require.Contains(t, succeed(t, dir, "inspect", "upper.wasm"), "entry point _start")
	stderr := fails(t, dir, "invoke", "upper.wasm", "--trust-code")
	require.Contains(t, stderr, "rfaas invoke: upper: there is no input")
	write(t, dir, "input.txt", "word")
	succeed(t, dir, "run", "-f", "upper.wasm", "--trust-code", "-o", "results", "input.txt")
	require.Equal(t, "WORD", read(t, filepath.Join(dir, "results", "input.txt")))
}
