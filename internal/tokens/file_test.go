package tokens

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	rules "github.com/rfaas-go/rfaas/internal/names"
)

// testToken is a token for a number.
func testToken(n int) string { return fmt.Sprintf("%064x", n) }

// The file is lines, comments and nothing else; mistakes are named with their line, and
// no token is in the message.
func TestTokensFile(t *testing.T) {
	t.Parallel()
	base64url := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_-"
	known, err := parse([]byte("# of us all\n\n\ttenant alice  " + testToken(1) + "\r\n  # more\ntenant alice " + base64url + "\nowner o#1 " + base64url[1:] + "AA="))
	require.NoError(t, err)
	require.Len(t, known.all, 3)
	for token, name := range map[string]string{testToken(1): "alice", base64url: "alice"} {
		who, err := known.Identify([]byte(token), Tenant)
		require.NoError(t, err)
		require.Equal(t, name, who.Name)
	}
	secret := testToken(77)
	for text, want := range map[string]string{
		"":                                          "1: there is no token in it",
		"# nothing\n":                               "1: there is no token in it",
		"tenant alice":                              "1: has 2 fields: must be ROLE NAME TOKEN",
		"\ntenant a b " + secret:                    "2: has 4 fields",
		"# x\nboss a " + secret:                     "2: begins with no ROLE: must be tenant, node or owner",
		secret + " tenant a":                        "1: begins with no ROLE",
		"tenant a/b " + secret:                      "1: the name \"a/b\" has the byte 0x2f",
		"tenant -" + secret[1:] + " alice":          "1: has a token where the name is to be",
		"tenant a secret!":                          "1: the token is neither hex nor base64url; make one with 'openssl rand -hex 32'",
		"tenant a " + secret[2:]:                    "1: the token has 31 bytes: must have 32 or more",
		"tenant a " + base64url[1:]:                 "1: the token has 31 bytes",
		"tenant a " + strings.Repeat(secret, 9):     "1: the token has 576 characters: must have 512 at most",
		"tenant a " + secret + "\nnode b " + secret: "2: the token was there before",
	} {
		_, err := parse([]byte(text))
		require.ErrorContains(t, err, want, text)
		require.NotContains(t, err.Error(), secret[2:])
	}
}

// Only the owner of a file with secrets may be able to read it.
func TestSecretFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(path, []byte(testToken(1)+"\n"), 0o600))
	token, err := ReadToken(path)
	require.NoError(t, err)
	require.Equal(t, testToken(1), token)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o601} {
		require.NoError(t, os.Chmod(path, mode))
		_, err = ReadToken(path)
		require.EqualError(t, err, fmt.Sprintf("%s: has the mode %04o, and only its owner may be able to read it: chmod 600 %s", path, mode, path))
		_, err = Read(path)
		require.ErrorContains(t, err, "chmod 600")
	}
	require.NoError(t, os.Chmod(path, 0o400))
	_, err = Read(path)
	require.EqualError(t, err, path+":1: has 1 fields: must be ROLE NAME TOKEN")
	_, err = ReadToken(dir)
	require.ErrorContains(t, err, "is no regular file")
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	_, err = ReadToken(pipe)
	require.ErrorContains(t, err, "is no regular file")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxFileBytes+1), 0o600))
	_, err = Read(filepath.Join(dir, "large"))
	require.ErrorContains(t, err, "has more than 1048576 bytes")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "line"), []byte("tenant alice "+testToken(1)), 0o600))
	_, err = ReadToken(filepath.Join(dir, "line"))
	require.ErrorContains(t, err, "line: the token is neither hex nor base64url; make one with 'openssl rand -hex 32'; the file has one line: the token")
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(filepath.Join(dir, "line"), 1, -1))
		_, err = Read(filepath.Join(dir, "line"))
		require.ErrorContains(t, err, "belongs to user 1: must be user 0's, or root's")
	}
}

// Whatever is in the file: it is refused, or its identities have sound names.
func FuzzParse(f *testing.F) {
	f.Add([]byte("tenant alice " + testToken(1) + "\n# x\nnode n " + testToken(2)))
	f.Add([]byte("owner o AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_-="))
	f.Add([]byte("tenant -" + testToken(1)[1:] + " alice"))
	f.Fuzz(func(t *testing.T, text []byte) {
		known, err := parse(text)
		if err != nil {
			for _, field := range strings.Fields(string(text)) {
				if check(field) == nil {
					require.NotContains(t, err.Error(), field, "it would be in a log")
				}
			}
			return
		}
		require.NotEmpty(t, known.all)
		for _, k := range known.all {
			require.Contains(t, Roles, k.Role)
			require.NoError(t, rules.Check(k.Name))
		}
	})
}
