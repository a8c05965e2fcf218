package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/tokens"
)

// serverFlags name the files that authenticate a server, and its clients.
type serverFlags struct{ cert, key, tokens string }

const tokensHelp = `Beyond the loopback --tls-cert, --tls-key and --tokens are needed. The file of
tokens has lines of ROLE NAME TOKEN, and may be readable by its owner only. A
ROLE is tenant, node or owner; '` + tokens.Make + `' makes a TOKEN.`

func (f *serverFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.cert, "tls-cert", "", "`FILE` with the certificate of this server, PEM: TCP is TLS then")
	flags.StringVar(&f.key, "tls-key", "", "`FILE` with the key of the certificate, PEM")
	flags.StringVar(&f.tokens, "tokens", "", "`FILE` with the tokens of clients that may connect over TCP")
}

// serverCredentials are the content of the files; what was not named is nil.
type serverCredentials struct {
	tls    *tls.Config
	tokens *tokens.Known
}

func (f *serverFlags) open() (*serverCredentials, error) {
	c := &serverCredentials{}
	if (f.cert == "") != (f.key == "") {
		return nil, usageError("--tls-cert and --tls-key: one is of no use without the other")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert %s, --tls-key %s: %w", f.cert, f.key, err)
		}
		if end := pair.Leaf.NotAfter; time.Now().After(end) {
			return nil, fmt.Errorf("--tls-cert %s: the certificate has expired, on %v", f.cert, end.Format(time.DateTime))
		}
		c.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	}
	if f.tokens != "" {
		var err error
		if c.tokens, err = tokens.Read(f.tokens); err != nil {
			return nil, fmt.Errorf("--tokens: %w", err)
		}
	}
	return c, nil
}

// permit refuses an address beyond the loopback, unless there are a certificate and tokens.
func (c *serverCredentials) permit(flag, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return usageError("%s %s: must be host:port, as in %s", flag, address, defaultManagerAddress)
	}
	var missing []string
	if c.tls == nil {
		missing = append(missing, "--tls-cert and --tls-key")
	}
	if c.tokens == nil {
		missing = append(missing, "--tokens")
	}
	if tokens.IsLoopback(host) || len(missing) == 0 {
		return nil
	}
	return usageError("%s %s: is beyond the loopback, where others can reach it: give %s as well, or an address as %s", flag, address, strings.Join(missing, " and "), defaultManagerAddress)
}

// isAny says whether a host stands for all addresses of the machine.
func isAny(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// scheme is that of URLs of the server.
func (c *serverCredentials) scheme() string {
	if c.tls != nil {
		return "https"
	}
	return "http"
}

// listen listens at a TCP address, with TLS if there is a certificate. at is what to tell
// others: the host as it was written, for which the certificate is.
func (c *serverCredentials) listen(address string) (l net.Listener, at string, err error) {
	if l, err = net.Listen("tcp", address); err != nil {
		return nil, "", err
	}
	at = l.Addr().String()
	if host, _, err := net.SplitHostPort(address); err == nil && !isAny(host) {
		_, port, _ := net.SplitHostPort(at)
		at = net.JoinHostPort(host, port)
	}
	if c.tls != nil {
		l = tls.NewListener(l, c.tls)
	}
	return l, at, nil
}

// clientFlags name the files that authenticate a client, and its servers.
type clientFlags struct{ tokenFile, tlsCA string }

func (f *clientFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` with the token of this client")
	flags.StringVar(&f.tlsCA, "tls-ca", "", "`FILE` with the certificates of the authorities that sign servers', PEM (default: the system's)")
}

// clientCredentials are the content of the files.
type clientCredentials struct {
	token string // empty: none
	tls   *tls.Config
	http  *http.Client
}

func (f *clientFlags) open() (*clientCredentials, error) {
	c := &clientCredentials{tls: &tls.Config{MinVersion: tls.VersionTLS13}}
	if f.tlsCA != "" {
		var err error
		if c.tls.RootCAs, err = tokens.Authorities(f.tlsCA); err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
	}
	if f.tokenFile != "" {
		var err error
		if c.token, err = tokens.ReadToken(f.tokenFile); err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
	}
	c.http = tokens.Client(c.token, c.tls)
	return c, nil
}

// managerFlags name a manager, and what to ask it with.
type managerFlags struct {
	url string
	clientFlags
}

func (f *managerFlags) add(flags *pflag.FlagSet, more string) {
	flags.StringVar(&f.url, "manager", "", managerUsage+more)
	f.clientFlags.add(flags)
}

// open is a client of the manager.
func (f *managerFlags) open(p *program) (*manager.Client, *clientCredentials, error) {
	if f.url == "" {
		return nil, nil, usageError("which manager? name it with --manager URL, as in http://%s", defaultManagerAddress)
	}
	c, err := f.clientFlags.open()
	if err != nil {
		return nil, nil, err
	}
	m, err := p.managerAt(f.url, c)
	return m, c, err
}

// managerAt is a client of the manager at a URL, which --manager gave.
func (p *program) managerAt(at string, as *clientCredentials) (*manager.Client, error) {
	if u, err := url.Parse(at); err == nil && u.Scheme == "http" && u.Host != "" && !tokens.IsLoopback(u.Hostname()) {
		return nil, usageError("--manager %s: it is beyond the loopback, where others can listen: write https://", at)
	}
	m, err := manager.NewClient(at, as.http)
	if err != nil {
		return nil, usageError("--manager %s: must be http or https with a host, and no query, as in http://%s", at, defaultManagerAddress)
	}
	m.Logger = p.logging.log
	return m, nil
}

// trustUsage is the help of the flag that allows devices whose packets are not protected.
const trustUsage = "use RDMA devices although packets are neither encrypted nor authenticated"

// refuseRequest answers as agents and managers do.
func refuseRequest(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}
