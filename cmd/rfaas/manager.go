package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/tokens"
)

// defaultManagerAddress is where a manager listens that is not told otherwise.
const defaultManagerAddress = "127.0.0.1:7470"

func (p *program) managerCommand() *cobra.Command {
	var listen string
	var serving serverFlags
	var accounts accountFlags
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "manager [--listen ADDRESS] [--tls-cert FILE --tls-key FILE --tokens FILE]",
		Short:                 "Tell clients which nodes there are",
		Long: `manager tells clients which nodes there are, and what of them is free. Agents
register with it ('rfaas agent --manager URL'), clients ask it ('rfaas run
--manager URL') and then lease from the agents directly: work continues
while the manager is away, and agents register again when it is back. Agents
report to it what tenants have used, which 'rfaas bill --manager URL' shows.

It runs until Ctrl-C or SIGTERM. When it listens it prints its URL, at which it
also serves metrics for Prometheus: GET /metrics, see docs/METRICS.md.

` + tokensHelp + `
An agent registers with the token of the node that it is; clients may have one
of any role.`,
		Example: `  rfaas manager
  rfaas manager --listen 127.0.0.1:0
  rfaas manager --listen head.example.org:7470 --tls-cert head.crt --tls-key head.key --tokens tokens`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serveManager(cmd, listen, &serving, &accounts) },
	}
	cmd.Flags().StringVar(&listen, "listen", defaultManagerAddress, "`ADDRESS` to listen at, host:port; port 0 for any")
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&accounts.state, "state", "", "`DIR` for the ledger of usage (default: rfaas/manager in $XDG_STATE_HOME, or ~/.local/state)")
	flags.StringVar(&accounts.listen, "accounting", "", "`ADDRESS` at which agents report usage: unix:PATH, unix:@NAME or tcp:HOST:PORT (default: a socket in --state)")
	flags.StringArrayVar(&accounts.transports, "transport", nil, "`URL` of a transport over which they report it; repeat it for more (default \"shm:\", or $"+transportVariable+")")
	serving.add(flags)
	return cmd
}

func (p *program) serveManager(cmd *cobra.Command, address string, flags *serverFlags, keep *accountFlags) (err error) {
	serving, err := flags.open()
	if err != nil {
		return err
	}
	if err := serving.permit("--listen", address); err != nil {
		return err
	}
	a, err := keep.open(p, serving)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	cfg := manager.Config{Logger: p.logging.log, Accounting: a.addresses}
	if serving.tokens != nil {
		cfg.Authorize = serving.authorize
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), endingSignals()...)
	defer stop()
	m, err := manager.New(cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	l, at, err := serving.listen(address)
	if err != nil {
		return fmt.Errorf("--listen %s: %w; choose another address", address, withoutAddress(err))
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "manager at %s://%s\n", serving.scheme(), at); err != nil {
		l.Close()
		return err
	}
	h := serving.withMetrics(a.withBill(m, cfg.Authorize), a.metrics(m), tokens.Roles...)
	return p.serveHTTP(ctx, l, h, func() { m.Close() })
}

// serveHTTP serves until the context ends. The listener is closed. What goes wrong with
// one connection, a TLS handshake with a stranger, is for the log.
func (p *program) serveHTTP(ctx context.Context, l net.Listener, h http.Handler, hangUp func()) error {
	const headTimeout, idleTimeout, grace = 10 * time.Second, 2 * time.Minute, time.Second
	s := &http.Server{Handler: h, ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(p.logging.log.Handler(), slog.LevelInfo)}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	hangUp()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		s.Close()
	}
	<-ended
	return nil
}
