package tokens

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

// Authorities are the certificates in a file, PEM, of those that sign servers'.
func Authorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate in it, PEM as in -----BEGIN CERTIFICATE-----", path)
	}
	return pool, nil
}

// Client is what to ask managers and agents with: requests have the token, if there is one, and
// do not leave the loopback without TLS.
func Client(token string, config *tls.Config) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = config
	return &http.Client{
		Transport: &bearer{token: token, inner: t},
		// Managers and agents do not redirect, and a token must not follow a redirect.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// IsLoopback reports whether a host is the loopback for certain.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// bearer adds a token to requests. Nothing goes beyond the loopback without TLS.
type bearer struct {
	token string
	inner http.RoundTripper
}

// speaksTLS is what net/http's server says to plain HTTP on a TLS connection.
const speaksTLS = "Client sent an HTTP request to an HTTPS server."

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	plain := r.URL.Scheme != "https"
	if plain && !IsLoopback(r.URL.Hostname()) {
		closeBody(r)
		return nil, errors.New("it is beyond the loopback, where others can listen: write https://")
	}
	if b.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	answer, err := b.inner.RoundTrip(r)
	if err != nil || !plain || answer.StatusCode != http.StatusBadRequest || answer.Header.Get("Content-Type") != "" {
		return answer, err
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	answer.Body.Close()
	if err == nil && strings.TrimSpace(string(text)) == speaksTLS {
		err = errors.New("it speaks TLS: write https://")
	} else if err == nil {
		err = fmt.Errorf("%s, and %.200q", answer.Status, text)
	}
	return nil, err
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}
