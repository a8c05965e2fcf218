package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Errors say each thing once, and not in the words of the packages that they come from.
func TestErrorTexts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "a")
	write(t, dir, "bad.so", "no shared object")
	write(t, dir, "bad.json", "[")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o777))
	busy := start(t, dir, "manager", "--listen", "127.0.0.1:0", "--state", "busy")
	require.True(t, eventually(programTimeout, func() bool { return strings.HasPrefix(busy.stdout.String(), "manager at ") }))
	taken := strings.TrimPrefix(strings.TrimSpace(busy.stdout.String()), "manager at http://")
	prefixes := regexp.MustCompile(`(^|: )(accounting|agent|alloc|invoke|lease|manager|pack|rxe|transport): `)
	for line, want := range map[string]string{
		"invoke echo --transport verbs:0":                                "--transport verbs:0: invalid: write verbs:, verbs://DEVICE, verbs://DEVICE/PORT or verbs://ADDRESS; see 'rfaas devices'",
		"agent --state s --transport shm://x":                            `--transport shm://x: invalid: shm takes no address; write "shm:"; see 'rfaas devices'`,
		"agent --state s --listen unix:/nowhere/x":                       "--listen unix:/nowhere/x: bind: no such file or directory",
		"agent --state s --listen tcp:127.0.0.1:99999":                   "--listen 127.0.0.1:99999: must be host:port, as in 127.0.0.1:7470",
		"agent --state a/x":                                              "state: mkdir a: not a directory",
		"agent --manager tcp:x --state s":                                "--manager tcp:x: must be http or https with a host, and no query, as in http://127.0.0.1:7470",
		"manager --state s --listen nowhere":                             "--listen nowhere: must be host:port, as in 127.0.0.1:7470",
		"manager --state s --listen " + taken:                            "--listen " + taken + ": bind: address already in use; choose another address",
		"manager --state s --listen 127.0.0.1:0 --accounting unix:/no/x": "--accounting unix:/no/x: bind: no such file or directory",
		"manager --state busy --listen 127.0.0.1:0":                      "ledger busy/ledger: the ledger is in use: one process at a time appends to it",
		"nodes --manager http://127.0.0.1:1":                             "the manager at http://127.0.0.1:1 does not answer: connect: connection refused",
		"drain n --manager http://" + taken:                              `the manager knows no node "n"; 'rfaas nodes' shows those that it does`,
		"bill --state nowhere":                                           "there is no ledger nowhere/ledger: has there been an agent here? name it with --name, or its folder with --state",
		"pack nothing.so":                                                "open nothing.so: no such file or directory",
		"inspect bad.so":                                                 "bad.so is neither a package nor code, such as a script, which begins with #! and the path of its interpreter",
		"run -f nothing.so a":                                            "open nothing.so: no such file or directory",
		"run -f echo -o a/x a":                                           "the results cannot be written to a/x: a: not a directory; choose another directory (-o)",
		"invoke echo --in nothing":                                       "open nothing: no such file or directory",
		"invoke echo -o nowhere/x":                                       "the result cannot be written to nowhere/x: create a file in nowhere: no such file or directory; choose another file (-o)",
		"cache delete sha256:12":                                         `"sha256:12" is not a digest: must be sha256: and 64 hexadecimal digits in lower case`,
		"cache delete sha256:0000000000000000000000000000000000000000000000000000000000000000 sha256:1111111111111111111111111111111111111111111111111111111111111111": "cache CACHE: sha256:0000000000000000000000000000000000000000000000000000000000000000: the package is not in the cache; 'rfaas cache list' shows what is\ncache CACHE: sha256:1111111111111111111111111111111111111111111111111111111111111111: the package is not in the cache; 'rfaas cache list' shows what is",
		"roce dump nothing": "open nothing: no such file or directory",
		"roce dump folder":  "folder: is a directory",
		"roce pingpong x y": "one HOST, that of the server, or none to be the server",
	} {
		t.Run(line, func(t *testing.T) {
			private := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+filepath.Join(dir, "cache")) }
			s := startWith(t, dir, private, strings.Fields(line)...)
			require.NotEqual(t, exitOK, s.wait())
			first, _, _ := strings.Cut(s.stderr.String(), "\nSee 'rfaas ")
			_, text, _ := strings.Cut(strings.TrimSuffix(first, "\n"), ": ")
			text = strings.ReplaceAll(text, filepath.Join(dir, "cache", "rfaas", "packages"), "CACHE")
			require.Equal(t, want, text)
			require.NotRegexp(t, prefixes, text)
		})
	}
}
