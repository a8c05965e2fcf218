package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/accounting/words"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/metrics"
	"github.com/rfaas-go/rfaas/internal/tokens"
	"github.com/rfaas-go/rfaas/transport"
)

// accounts are what a manager knows of what was used.
type accounts struct {
	program   *program
	ledger    *accounting.Ledger
	path      string
	devices   []*transport.Device
	listener  *transport.Listener
	server    *words.Server
	addresses []manager.Address
	stop      context.CancelFunc
	serving   sync.WaitGroup
}

// accountFlags say where accounts are kept, and where agents report them.
type accountFlags struct {
	state, listen string
	transports    []string
}

// open opens the ledger and listens for agents.
func (f *accountFlags) open(p *program, serving *serverCredentials) (_ *accounts, err error) {
	if f.state == "" {
		if f.state, err = stateFolder("manager"); err != nil {
			return nil, err
		}
	}
	a := &accounts{program: p, path: filepath.Join(f.state, "ledger")}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	transports := givenTransports(f.transports, "shm:")
	f.transports = urlsOf(transports)
	for _, t := range transports {
		d, err := openForWorkers(t)
		if err != nil {
			return nil, err
		}
		a.devices = append(a.devices, d)
	}
	if err := os.MkdirAll(f.state, 0o700); err != nil {
		return nil, fmt.Errorf("--state: %w", err)
	}
	if a.ledger, err = accounting.OpenLedger(a.path, accounting.LedgerConfig{Logger: p.logging.log}); err != nil {
		return nil, err
	}
	return a, a.serve(f, serving)
}

// serve takes agents at the address.
func (a *accounts) serve(f *accountFlags, serving *serverCredentials) error {
	network, address := "unix", filepath.Join(f.state, "accounting")
	if f.listen != "" {
		var ok bool
		if network, address, ok = strings.Cut(f.listen, ":"); !ok || network != "unix" && network != "tcp" {
			return usageError("--accounting %s: give unix:PATH, unix:@NAME or tcp:HOST:PORT", f.listen)
		}
	}
	if network == "tcp" {
		if err := serving.permit("--accounting", address); err != nil {
			return err
		}
	}
	l, at, err := listenForPeers(network, address, serving)
	if err != nil {
		return fmt.Errorf("--accounting %s:%s: %w", network, address, withoutAddress(err))
	}
	a.listener = l
	for _, d := range a.devices {
		if c := d.Capabilities(); network == "unix" || !c.Features.Has(transport.FeatureUnixSocket) {
			a.addresses = append(a.addresses, manager.Address{Network: network, Address: at, Transport: schemeOf(d.Name() + ":"), Wire: c.Wire, TLS: network == "tcp" && serving.tls != nil})
		}
	}
	if len(a.addresses) == 0 {
		return usageError("--accounting %s:%s: none of the transports %s works there; shm needs unix:", network, address, strings.Join(f.transports, " "))
	}
	cfg := words.ServerConfig{Devices: a.devices, Ledger: a.ledger, Logger: a.program.logging.log}
	if serving.tokens != nil && network == "tcp" {
		cfg.Authorize = serving.authorizeNode
	}
	a.server = words.NewServer(cfg)
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.serving.Go(func() {
		if err := a.server.Serve(ctx, l); err != nil && ctx.Err() == nil {
			a.program.logging.log.Error("no more agents can report usage", "reason", err)
		}
	})
	a.serving.Go(func() { a.server.Keep(ctx) })
	return nil
}

// close writes what is left and frees everything.
func (a *accounts) close() error {
	if a.stop != nil {
		a.stop()
		a.serving.Wait()
	}
	var errs []error
	if a.listener != nil {
		errs = append(errs, a.listener.Close())
	}
	for _, d := range a.devices {
		errs = append(errs, d.Close())
	}
	if a.ledger != nil {
		errs = append(errs, a.ledger.Close())
	}
	return errors.Join(errs...)
}

// billPath is where a manager answers what tenants have used.
const billPath = "/v1/bill"

// withBill adds the bill to a manager's answers.
func (a *accounts) withBill(m *manager.Manager, authorize func(*http.Request, manager.Role) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != billPath {
			m.ServeHTTP(w, r)
			return
		}
		if authorize != nil {
			if err := authorize(r, manager.Caller); err != nil {
				refuseRequest(w, http.StatusForbidden, err)
				return
			}
		}
		q := r.URL.Query()
		f := &billFlags{by: q["by"], tenant: q.Get("tenant"), since: q.Get("since"), until: q.Get("until"), format: q.Get("format")}
		var text strings.Builder
		if err := f.write(&text, a.path); err != nil {
			refuseRequest(w, http.StatusBadRequest, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text.String())
	})
}

// metrics answers a scrape with those of a manager and its accounts.
func (a *accounts) metrics(m *manager.Manager) http.Handler {
	return metrics.Manager(metrics.ManagerSource{Stats: m.Stats, Reporting: a.server.Agents, Totals: a.ledger.Totals})
}

// dialAccounts opens a stream to the address at which a manager takes reports of usage.
func (c *clientCredentials) dialAccounts(ctx context.Context, at manager.Address) (net.Conn, error) {
	if at.TLS {
		return (&tls.Dialer{Config: c.tls}).DialContext(ctx, at.Network, at.Address)
	}
	if host, _, _ := net.SplitHostPort(at.Address); at.Network == "tcp" && !tokens.IsLoopback(host) {
		return nil, fmt.Errorf("%s: it is beyond the loopback, and has no TLS", at.Address)
	}
	return transport.DialStream(ctx, at.Network, at.Address)
}
