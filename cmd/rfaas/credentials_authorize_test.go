package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/transport"
)

// testToken is a token for a number.
func testToken(n int) string { return fmt.Sprintf("%064x", n) }

// someTokens has one of each role, and another node's.
func someTokens(t *testing.T) (*serverCredentials, map[string]string) {
	t.Helper()
	of := map[string]string{"tenant alice": testToken(1), "node n1": testToken(2), "owner olga": testToken(3), "node n2": testToken(4)}
	var text strings.Builder
	for who, token := range of {
		fmt.Fprintln(&text, who, token)
	}
	c, err := (&serverFlags{tokens: secret(t, t.TempDir(), "tokens", text.String())}).open()
	require.NoError(t, err)
	return c, of
}

// withToken is a request with a token.
func withToken(method, path, token string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// A manager lets nodes register under their own names, and clients with any token ask.
func TestManagerAuthorizes(t *testing.T) {
	t.Parallel()
	c, of := someTokens(t)
	m, err := manager.New(manager.Config{Authorize: c.authorize})
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
	for _, f := range []struct{ method, path, token, want string }{
		{"GET", "/v1/nodes", "", "there is no token, and one of a tenant or a node or an owner is needed here"},
		{"GET", "/v1/watch", testToken(9), "the token is not known here"},
		{"DELETE", "/v1/nodes/n1?epoch=1", "", "there is no token, and one of a node is needed here"},
		{"DELETE", "/v1/nodes/n1?epoch=1", testToken(9), "the token is not known here"},
		{"PUT", "/v1/nodes/n1", of["node n2"], `the token is that of the node n2, and not of \"n1\"`},
		{"PUT", "/v1/nodes/n1", of["tenant alice"], "the token is that of the tenant alice, and one of a node is needed here"},
		{"DELETE", "/v1/nodes/n1?epoch=1", of["owner olga"], "the token is that of the owner olga, and one of a node is needed here"},
	} {
		status, text := say(f.method, f.path, f.token)
		require.Equal(t, http.StatusForbidden, status, f)
		require.Contains(t, text, f.want)
	}
	r := withToken("GET", "/v1/nodes", "")
	r.Header.Set("Authorization", "Basic "+of["tenant alice"])
	require.ErrorContains(t, c.authorize(r, manager.Caller), "there is no token")
}

// An agent knows tenants by their tokens, whatever they call themselves.
func TestAgentAuthenticates(t *testing.T) {
	t.Parallel()
	c, of := someTokens(t)
	for _, at := range []net.Addr{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}} {
		peer := transport.Peer{Address: at}
		tenant, err := c.authenticate(peer, &lease.Hello{Name: "bob", Token: []byte(of["tenant alice"])})
		require.NoError(t, err)
		require.Equal(t, "alice", tenant)
		for token, want := range map[string]string{
			"":               "there is no token, and one of a tenant is needed here: give it with --token-file",
			testToken(9):     "the token is not known here",
			of["node n1"]:    "the token is that of the node n1, and one of a tenant is needed here",
			of["owner olga"]: "the token is that of the owner olga, and one of a tenant is needed here",
		} {
			tenant, err := c.authenticate(peer, &lease.Hello{Name: "alice", Token: []byte(token)})
			require.ErrorContains(t, err, want)
			require.Empty(t, tenant)
		}
	}
	self := transport.Peer{Address: &net.UnixAddr{}, Credentials: &transport.Credentials{UID: os.Getuid()}}
	tenant, err := c.authenticate(self, &lease.Hello{Name: "bob"})
	require.NoError(t, err)
	require.Equal(t, "bob", tenant)
	_, err = c.authenticate(transport.Peer{Address: &net.UnixAddr{}, Credentials: &transport.Credentials{UID: 12345}}, &lease.Hello{Name: "bob", Token: []byte(of["tenant alice"])})
	require.ErrorContains(t, err, "this agent serves its own user only")
}

// Requests of owners need an owner's token.
func TestOwnersOnly(t *testing.T) {
	t.Parallel()
	c, of := someTokens(t)
	h := c.forOwners(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "done") }))
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
