package wasm

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The recipe for a command in C in docs/WASM.md works as it is there.
func TestRecipeOfACommandInC(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/include/wasm32-wasi/stdio.h"); err != nil {
		const needs = "needs the packages clang, lld, wasi-libc and libclang-rt-dev-wasm32"
		if os.Getenv("CI") != "" {
			require.NoError(t, err, needs)
		}
		t.Skip(needs+": ", err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "WASM.md"))
	require.NoError(t, err)
	recipe := regexp.MustCompile("(?s)`upper.c`\n\n```c\n(.*?)```.*?\n    (clang [^\n]*)\n").FindStringSubmatch(string(page))
	require.Len(t, recipe, 3)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "upper.c"), []byte(recipe[1]), 0o600))
	words := strings.Fields(recipe[2])
	compile := exec.CommandContext(t.Context(), words[0], words[1:]...)
	compile.Dir = dir
	said, err := compile.CombinedOutput()
	require.NoError(t, err, "%s", said)
	code, err := os.ReadFile(filepath.Join(dir, "upper.wasm"))
	require.NoError(t, err)
	out := make([]byte, 8)
	n, err := entryPoint(t, load(t, code, Config{}), "_start")(t.Context(), []byte("abc\n"), out)
	require.NoError(t, err)
	require.Equal(t, "ABC\n", string(out[:n]))
}
