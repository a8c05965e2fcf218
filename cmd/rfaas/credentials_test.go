package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/tokens"
)

// authority signs the certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority leaves its own certificate in DIR/ca.
func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	a.key = a.newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = a.sign("ca", template, template, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	return key
}

func (a *authority) sign(name string, template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	a.write(name, "CERTIFICATE", der)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	return cert
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// server makes a certificate for addresses, good until a time, in DIR/NAME.crt and its
// key in DIR/NAME.key.
func (a *authority) server(name string, until time.Time, addresses ...string) serverFlags {
	a.t.Helper()
	key := a.newKey()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until}
	for _, address := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	a.sign(name+".crt", template, a.cert, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".key", "PRIVATE KEY", der)
	return serverFlags{cert: a.path(name + ".crt"), key: a.path(name + ".key")}
}

// secret makes a file that only its owner can read.
func secret(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Beyond the loopback nothing listens without all that it needs, and what is missing is
// named.
func TestWhereToListen(t *testing.T) {
	t.Parallel()
	withTLS, withTokens := &serverCredentials{tls: &tls.Config{}}, &serverCredentials{tokens: &tokens.Known{}}
	nothing, both := &serverCredentials{}, &serverCredentials{withTLS.tls, withTokens.tokens}
	for _, address := range []string{"127.0.0.1:1", "127.9.9.9:0", "[::1]:1", "localhost:1"} {
		for _, c := range []*serverCredentials{nothing, withTLS, withTokens, both} {
			require.NoError(t, c.permit("--listen", address))
		}
	}
	for _, address := range []string{"192.0.2.1:1", "0.0.0.0:1", ":1", "[::]:1", "[2001:db8::1]:1", "host:1", "localhost.example.org:1", "127.1:1", "[fe80::1%lo]:1"} {
		require.NoError(t, both.permit("--listen", address))
		require.ErrorContains(t, nothing.permit("--listen", address), "--listen "+address+": is beyond the loopback, where others can reach it: give --tls-cert and --tls-key and --tokens as well")
		require.ErrorContains(t, withTLS.permit("--listen", address), "give --tokens as well")
		require.ErrorContains(t, withTokens.permit("--listen", address), "give --tls-cert and --tls-key as well")
	}
	require.ErrorContains(t, both.permit("--admin", "host"), "--admin host: must be host:port, as in ")
}

// What is wrong with the files of a server, or of a client, is said when it starts.
func TestCredentialFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := newAuthority(t, dir)
	good, expired := a.server("good", time.Now().Add(time.Hour), "127.0.0.1"), a.server("expired", time.Now().Add(-time.Hour), "127.0.0.1")
	known := secret(t, dir, "tokens", "tenant alice "+testToken(1))
	c, err := (&serverFlags{good.cert, good.key, known}).open()
	require.NoError(t, err)
	require.NotNil(t, c.tls)
	require.NotNil(t, c.tokens)
	for want, f := range map[string]serverFlags{
		"--tls-cert and --tls-key: one is of no use without the other":   {cert: good.cert},
		"--tls-cert and --tls-key: one is of no use":                     {key: good.key},
		"expired.crt: the certificate has expired, on ":                  expired,
		"private key does not match public key":                          {cert: good.cert, key: expired.key},
		"nothing: no such file or directory":                             {cert: good.cert, key: "nothing"},
		"--tokens: open nothing: no such file or directory":              {tokens: "nothing"},
		"--tokens: " + good.cert + ":1: has 2 fields: must be ROLE NAME": {tokens: good.cert},
	} {
		_, err := f.open()
		require.ErrorContains(t, err, want)
	}
	for want, f := range map[string]clientFlags{
		"--token-file: open nothing: no such file or directory":  {tokenFile: "nothing"},
		"--token-file: " + known + ": the token is neither":      {tokenFile: known},
		"--tls-ca: open nothing: no such file or directory":      {tlsCA: "nothing"},
		"--tls-ca: " + known + ": there is no certificate in it": {tlsCA: known},
	} {
		_, err := f.open()
		require.ErrorContains(t, err, want)
	}
}

// serveManager serves a manager at the loopback and returns its host and port.
func serveManager(t *testing.T, c *serverCredentials) (at string) {
	t.Helper()
	cfg := manager.Config{}
	if c.tokens != nil {
		cfg.Authorize = c.authorize
	}
	m, err := manager.New(cfg)
	require.NoError(t, err)
	l, at, err := c.listen("127.0.0.1:0")
	require.NoError(t, err)
	s := &http.Server{Handler: m, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go s.Serve(l)
	t.Cleanup(func() { require.NoError(t, m.Close()); require.NoError(t, s.Close()) })
	return at
}

// A client and a manager that do not agree say what is wrong.
func TestManagerOverTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := newAuthority(t, dir)
	c, of := someTokens(t)
	serve := func(f serverFlags) string {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key) // open would refuse some
		require.NoError(t, err)
		return serveManager(t, &serverCredentials{tls: &tls.Config{Certificates: []tls.Certificate{pair}}, tokens: c.tokens})
	}
	at := serve(a.server("good", time.Now().Add(time.Hour), "127.0.0.1"))
	require.NoError(t, os.Mkdir(a.path("other"), 0o700))
	newAuthority(t, a.path("other"))
	plain := serveManager(t, &serverCredentials{})
	for _, c := range []struct{ url, token, ca, want string }{
		{"https://" + at, of["tenant alice"], "ca", ""},
		{"https://" + at, "", "ca", "there is no token, and one of a tenant or a node or an owner is needed here: give it with --token-file"},
		{"https://" + at, testToken(9), "ca", "the token is not known here"},
		{"http://" + at, of["tenant alice"], "ca", "it speaks TLS: write https://"},
		{"https://" + plain, of["tenant alice"], "ca", "server gave HTTP response to HTTPS client"},
		{"http://" + plain, "", "ca", ""},
		{"https://" + at, of["tenant alice"], "other/ca", "certificate signed by unknown authority"},
		{"https://" + at, of["tenant alice"], "", "certificate signed by unknown authority"},
		{"https://" + serve(a.server("expired", time.Now().Add(-time.Hour), "127.0.0.1")), of["tenant alice"], "ca", "certificate has expired"},
		{"https://" + serve(a.server("elsewhere", time.Now().Add(time.Hour), "192.0.2.1")), of["tenant alice"], "ca", "certificate is valid for 192.0.2.1, not 127.0.0.1"},
		{"http://192.0.2.1:7470", "", "", "it is beyond the loopback, where others can listen: write https://"},
		{"http://host.example.org", of["tenant alice"], "", "it is beyond the loopback, where others can listen: write https://"},
	} {
		f := managerFlags{url: c.url}
		if c.ca != "" {
			f.tlsCA = a.path(c.ca)
		}
		if c.token != "" {
			f.tokenFile = secret(t, dir, "token", c.token)
		}
		m, _, err := f.open(&program{})
		if err == nil {
			_, err = m.Nodes(t.Context())
		}
		if c.want == "" {
			require.NoError(t, err, c.url)
		} else {
			require.ErrorContains(t, err, c.want, c.url)
		}
	}
}

// A token goes nowhere but where it was sent, even if that sends its client elsewhere.
func TestTokenIsNotRedirected(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 2)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- "elsewhere" }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("Authorization")
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	f := managerFlags{url: s.URL, clientFlags: clientFlags{tokenFile: secret(t, t.TempDir(), "token", testToken(1))}}
	m, _, err := f.open(&program{})
	require.NoError(t, err)
	_, err = m.Nodes(t.Context())
	require.ErrorContains(t, err, "307 Temporary Redirect")
	require.Equal(t, "Bearer "+testToken(1), <-seen)
	require.Empty(t, seen)
}

// The network of RDMA devices has to be trusted; softroce says so in its URL.
func TestTrustNetwork(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"verbs:", "verbs://rxe0", "trace+verbs://rxe0"} {
		require.ErrorContains(t, checkTrust(transportFlag{url, "--transport"}, false), "--transport "+strings.TrimSuffix(url, ":")+": RoCE packets are neither encrypted nor authenticated")
		require.NoError(t, checkTrust(transportFlag{url, "--transport"}, true))
	}
	for _, url := range []string{"shm:", "softroce:", "softroce://192.0.2.7"} {
		require.NoError(t, checkTrust(transportFlag{url, "--transport"}, false), "it is for the transport itself to say")
	}
	for address, want := range map[string]bool{"127.0.0.1:1": true, "192.0.2.7:1": false} {
		require.Equal(t, want, reaches("softroce:", address))
		require.Equal(t, want, reaches("softroce://127.0.0.1:0", address))
		require.True(t, reaches("softroce://192.0.2.7:0?trust-network", address))
		require.True(t, reaches("verbs://rxe0", address))
	}
}
