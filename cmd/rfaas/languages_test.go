//go:build cgo

package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var allLanguages = flag.Bool("all-languages", false, "all that docs/FUNCTIONS.md names has to be installed")

// TestLanguages carries out the two commands of each row of the table in docs/FUNCTIONS.md, as
// far as this machine has what they need; .ci/long installs all of it.
func TestLanguages(t *testing.T) {
	t.Parallel()
	page := read(t, "../../docs", "FUNCTIONS.md")
	rows := regexp.MustCompile("(?m)^\\| \\[(.+)\\]\\(\\.\\./examples/languages/(.+)\\) \\| (.+) \\| (.*) \\| (?:`(.+)`)? \\| `rfaas (invoke .+)` \\|$").FindAllStringSubmatch(page, -1)
	require.Len(t, rows, strings.Count(page, "| [")) // of them all
	require.Greater(t, len(rows), 20)
	for _, row := range rows {
		language, folder, as, needs, build, call := row[1], row[2], row[3], row[4], row[5], row[6]
		t.Run(language+" "+as, func(t *testing.T) {
			t.Parallel()
			for _, name := range strings.Fields(needs) {
				if !installed(name) {
					require.False(t, *allLanguages, "the whole table needs %s", name)
					t.Skipf("needs %s", name)
				}
			}
			if strings.HasPrefix(build, "npm ") && !*allLanguages {
				t.Skip("it downloads packages: -all-languages runs it")
			}
			examples := t.TempDir()
			require.NoError(t, os.Chmod(filepath.Dir(examples), 0o755)) // executors of root have users of their own
			for _, name := range []string{"languages/" + folder, "python", "wasm"} {
				require.NoError(t, os.CopyFS(filepath.Join(examples, name), os.DirFS("../../examples/"+name)))
			}
			dir := filepath.Join(examples, "languages", folder)
			cmd := exec.CommandContext(t.Context(), "sh", "-ec", build)
			cmd.Dir = dir
			if !strings.HasPrefix(needs, "go") {
				cmd.Env = append(os.Environ(), "PATH=/usr/bin:"+os.Getenv("PATH")) // Debian's compilers, whatever else is there
			}
			said, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", said)
			require.Equal(t, "ABC", strings.TrimSuffix(succeed(t, dir, strings.Fields(call)...), "\n"))
		})
	}
}

// installed reports whether there is a command, or a package of Debian.
func installed(name string) bool {
	if _, err := exec.LookPath(name); err == nil {
		return true
	}
	status, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status}", name).Output()
	return err == nil && string(status) == "installed"
}
