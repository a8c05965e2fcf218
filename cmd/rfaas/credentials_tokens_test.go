package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	rules "github.com/rfaas-go/rfaas/internal/names"
	"github.com/rfaas-go/rfaas/transport"
)

// testToken is a token for a number.
func testToken(n int) string { return fmt.Sprintf("%064x", n) }

// someTokens has one of each role, and another node's.
func someTokens(t testing.TB) (*tokens, map[string]string) {
	t.Helper()
	of := map[string]string{"tenant alice": testToken(1), "node n1": testToken(2), "owner olga": testToken(3), "node n2": testToken(4)}
	var text strings.Builder
	for who, token := range of {
		fmt.Fprintln(&text, who, token)
	}
	known, err := parseTokens([]byte(text.String()))
	require.NoError(t, err)
	return known, of
}

// The file is lines, comments and nothing else; mistakes are named with their line, and
// no token is in the message.
func TestTokensFile(t *testing.T) {
	t.Parallel()
	base64url := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_-"
	known, err := parseTokens([]byte("# of us all\n\n\ttenant alice  " + testToken(1) + "\r\n  # more\ntenant alice " + base64url + "\nowner o#1 " + base64url[1:] + "AA="))
	require.NoError(t, err)
	require.Len(t, known.known, 3)
	for token, name := range map[string]string{testToken(1): "alice", base64url: "alice"} {
		who, err := known.identify([]byte(token), tenantRole)
		require.NoError(t, err)
		require.Equal(t, name, who.name)
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
		_, err := parseTokens([]byte(text))
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
	token, err := readToken(path)
	require.NoError(t, err)
	require.Equal(t, testToken(1), token)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o601} {
		require.NoError(t, os.Chmod(path, mode))
		_, err = readToken(path)
		require.EqualError(t, err, fmt.Sprintf("%s: has the mode %04o, and only its owner may be able to read it: chmod 600 %s", path, mode, path))
		_, err = readTokens(path)
		require.ErrorContains(t, err, "chmod 600")
	}
	require.NoError(t, os.Chmod(path, 0o400))
	_, err = readTokens(path)
	require.EqualError(t, err, path+":1: has 1 fields: must be ROLE NAME TOKEN")
	_, err = readToken(dir)
	require.ErrorContains(t, err, "is no regular file")
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, unix.Mkfifo(pipe, 0o600))
	_, err = readToken(pipe)
	require.ErrorContains(t, err, "is no regular file")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large"), make([]byte, maxTokensBytes+1), 0o600))
	_, err = readTokens(filepath.Join(dir, "large"))
	require.ErrorContains(t, err, "has more than 1048576 bytes")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "line"), []byte("tenant alice "+testToken(1)), 0o600))
	_, err = readToken(filepath.Join(dir, "line"))
	require.ErrorContains(t, err, "line: the token is neither hex nor base64url; make one with 'openssl rand -hex 32'; the file has one line: the token")
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(filepath.Join(dir, "line"), 1, -1))
		_, err = readTokens(filepath.Join(dir, "line"))
		require.ErrorContains(t, err, "belongs to user 1: must be user 0's, or root's")
	}
}

// withToken is a request of whoever has a token.
func withToken(method, path, token string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// A manager lets nodes register under their own names, and whoever has a token ask.
func TestManagerAuthorizes(t *testing.T) {
	t.Parallel()
	known, of := someTokens(t)
	m, err := manager.New(manager.Config{Authorize: known.authorize})
	require.NoError(t, err)
	defer m.Close()
	say := func(method, path, token string) (int, string) {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, withToken(method, path, token))
		return w.Code, w.Body.String()
	}
	for _, token := range of {
		status, text := say("GET", "/v1/nodes", token)
		require.Equal(t, http.StatusOK, status, text)
	}
	status, text := say("DELETE", "/v1/nodes/n1?epoch=1", of["node n1"])
	require.Equal(t, http.StatusOK, status, text)
	for _, c := range []struct{ method, path, token, want string }{
		{"GET", "/v1/nodes", "", "there is no token, and one of a tenant or a node or an owner is needed here"},
		{"GET", "/v1/watch", testToken(9), "the token is not known here"},
		{"DELETE", "/v1/nodes/n1?epoch=1", "", "there is no token, and one of a node is needed here"},
		{"DELETE", "/v1/nodes/n1?epoch=1", testToken(9), "the token is not known here"},
		{"PUT", "/v1/nodes/n1", of["node n2"], `the token is that of the node n2, and not of \"n1\"`},
		{"PUT", "/v1/nodes/n1", of["tenant alice"], "the token is that of the tenant alice, and one of a node is needed here"},
		{"DELETE", "/v1/nodes/n1?epoch=1", of["owner olga"], "the token is that of the owner olga, and one of a node is needed here"},
	} {
		status, text := say(c.method, c.path, c.token)
		require.Equal(t, http.StatusForbidden, status, c)
		require.Contains(t, text, c.want)
	}
	r := withToken("GET", "/v1/nodes", "")
	r.Header.Set("Authorization", "Basic "+of["tenant alice"])
	require.ErrorContains(t, known.authorize(r, manager.Caller), "there is no token")
}

// An agent knows tenants by their tokens, whatever they call themselves.
func TestAgentAuthenticates(t *testing.T) {
	t.Parallel()
	known, of := someTokens(t)
	for _, at := range []net.Addr{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}} {
		peer := transport.Peer{Address: at}
		tenant, err := known.authenticate(peer, &lease.Hello{Name: "bob", Token: []byte(of["tenant alice"])})
		require.NoError(t, err)
		require.Equal(t, "alice", tenant)
		for token, want := range map[string]string{
			"":               "there is no token, and one of a tenant is needed here: give it with --token-file",
			testToken(9):     "the token is not known here",
			of["node n1"]:    "the token is that of the node n1, and one of a tenant is needed here",
			of["owner olga"]: "the token is that of the owner olga, and one of a tenant is needed here",
		} {
			tenant, err := known.authenticate(peer, &lease.Hello{Name: "alice", Token: []byte(token)})
			require.ErrorContains(t, err, want)
			require.Empty(t, tenant)
		}
	}
	self := transport.Peer{Address: &net.UnixAddr{}, Credentials: &transport.Credentials{UID: os.Getuid()}}
	tenant, err := known.authenticate(self, &lease.Hello{Name: "bob"})
	require.NoError(t, err)
	require.Equal(t, "bob", tenant)
	_, err = known.authenticate(transport.Peer{Address: &net.UnixAddr{}, Credentials: &transport.Credentials{UID: 12345}}, &lease.Hello{Name: "bob", Token: []byte(of["tenant alice"])})
	require.ErrorContains(t, err, "this agent serves its own user only")
}

// What is the owner's is nobody else's.
func TestOwnersOnly(t *testing.T) {
	t.Parallel()
	known, of := someTokens(t)
	h := known.forOwners(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") }))
	for token, want := range map[string]string{
		of["owner olga"]:   "done",
		"":                 `{"error":"there is no token, and one of an owner is needed here: give it with --token-file"}`,
		testToken(9):       `{"error":"the token is not known here"}`,
		of["tenant alice"]: `{"error":"the token is that of the tenant alice, and one of an owner is needed here"}`,
		of["node n1"]:      `{"error":"the token is that of the node n1, and one of an owner is needed here"}`,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, withToken("POST", "/v1/drain", token))
		require.Equal(t, want, strings.TrimSpace(w.Body.String()))
		require.Equal(t, want == "done", w.Code == http.StatusOK)
	}
}

// Whatever is in the file: it is refused, or its identities have sound names.
func FuzzParseTokens(f *testing.F) {
	f.Add([]byte("tenant alice " + testToken(1) + "\n# x\nnode n " + testToken(2)))
	f.Add([]byte("owner o AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_-="))
	f.Add([]byte("tenant -" + testToken(1)[1:] + " alice"))
	f.Fuzz(func(t *testing.T, text []byte) {
		known, err := parseTokens(text)
		if err != nil {
			for _, field := range strings.Fields(string(text)) {
				if checkToken(field) == nil {
					require.NotContains(t, err.Error(), field, "it would be in a log")
				}
			}
			return
		}
		require.NotEmpty(t, known.known)
		for _, k := range known.known {
			require.Contains(t, roles, k.role)
			require.NoError(t, rules.Check(k.name))
		}
	})
}
