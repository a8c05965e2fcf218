package benchmarks

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// ServeConfig describes the peer for measurements from another machine.
type ServeConfig struct {
	Listen    string // TCP address, host:port
	Transport string // URL of the device to be measured
	// OnNote, if set, gets what happens, a sentence each: first the address.
	OnNote func(string)

	patience time.Duration // for tests: host.patience
}

// defaultPatience is ample for a session that only has to clear up.
const defaultPatience = 5 * time.Second

// Serve is the peer for measurements from other machines (Config.Connect), one
// after the other, until the context ends; then it returns nil. Whoever reaches
// the port can keep a core and the device busy: it is for networks that are
// trusted.
func Serve(ctx context.Context, c ServeConfig) error {
	d, err := transport.Open(c.Transport)
	if err != nil {
		return err
	}
	name, crossHost := d.Name(), d.Capabilities().Features.Has(transport.FeatureCrossHost)
	d.Close() // each measurement opens its own
	if !crossHost {
		return flagErrorf("--listen: %s connects processes of one machine only, for which no --listen is needed; choose another --transport", name)
	}
	listen := net.ListenConfig{KeepAliveConfig: keepAlive}
	listener, err := listen.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return flagErrorf("--listen: %w", err)
	}
	defer listener.Close()
	note := c.OnNote
	if note == nil {
		note = func(string) {}
	}
	note(fmt.Sprintf("waiting on %s with %s; on the other machine: --connect", listener.Addr(), name))
	h := &host{listener: listener, transport: c.Transport, note: note, patience: cmp.Or(c.patience, defaultPatience)}
	if err := h.serve(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}
