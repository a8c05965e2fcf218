package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/alloc/manager"
)

// defaultManagerAddress is where a manager listens that is not told otherwise.
const defaultManagerAddress = "127.0.0.1:7470"

func (p *program) managerCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "manager [--listen ADDRESS]",
		Short:                 "Tell clients which nodes there are",
		Long: `manager tells clients which nodes there are, and what of them is free. Agents
register with it ('rfaas agent --manager URL'), clients ask it ('rfaas run
--manager URL') and then lease from the agents directly: what runs goes on
while the manager is away, and agents register again when it is back.

It goes on until Ctrl-C or SIGTERM. When it listens it prints its URL.`,
		Example: `  rfaas manager
  rfaas manager --listen 127.0.0.1:0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serveManager(cmd, listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", defaultManagerAddress, "`ADDRESS` to listen at, host:port; port 0 for any")
	return cmd
}

func (p *program) serveManager(cmd *cobra.Command, address string) error {
	if err := onlyThisMachine("--listen", address); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), endingSignals()...)
	defer stop()
	m, err := manager.New(manager.Config{Logger: p.logging.log})
	if err != nil {
		return err
	}
	defer m.Close()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "manager at http://%v\n", l.Addr()); err != nil {
		l.Close()
		return err
	}
	return serveHTTP(ctx, l, m, func() { m.Close() })
}

// serveHTTP serves until the context ends. The listener is closed.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, hangUp func()) error {
	const headTimeout, idleTimeout, grace = 10 * time.Second, 2 * time.Minute, time.Second
	s := &http.Server{Handler: h, ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout}
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

// onlyThisMachine refuses addresses that others could reach: who they are is not asked.
func onlyThisMachine(flag, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError("%s %s: %w; give host:port, as in %s", flag, address, err, defaultManagerAddress)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usageError("%s %s: this release serves its own machine only, as it does not ask who others are: give an address of the loopback, as in %s", flag, address, defaultManagerAddress)
	}
	return nil
}
