// Package pingpong plays ibv_rc_pingpong: two ends of a reliable connection send a
// message to and fro. The other end may be that tool, which comes with libibverbs,
// so that it shows whether two implementations understand each other.
package pingpong

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/transport"
)

// Config describes a game. Both ends have to agree on Port, Size, Iterations, MTU
// and Check.
type Config struct {
	Host       string // the server; empty: be the server
	Port       int    // TCP, for the handshake; at the server 0 is any that is free
	Size       int    // bytes of a message
	Iterations int    // messages from each end
	MTU        int    // path MTU, in bytes
	RxDepth    int    // receives posted at most
	Check      bool   // compare every message with the one that is expected
	Events     bool   // sleep until a completion comes, do not poll
	Timeout    time.Duration

	// Called by Run, and not to be nil: OnListen with the port, when clients can connect to this server;
	// OnLocal and OnRemote with the ends' addresses as soon as they are known.
	OnListen          func(port int)
	OnLocal, OnRemote func(Address)
}

func (c *Config) client() bool { return c.Host != "" }

// maxBytes bounds the size of a message: there may be two in memory.
const maxBytes = 1 << 30

// FlagError is a setting that makes no sense.
type FlagError struct{ Flag, Problem string }

func (e *FlagError) Error() string { return "--" + e.Flag + " " + e.Problem }

// check refuses what can be seen to be wrong before anything is done.
func (c *Config) check(dev *transport.Device) error {
	refuse := func(flag, format string, args ...any) error {
		return &FlagError{flag, fmt.Sprintf(format, args...)}
	}
	caps := dev.Capabilities()
	between := func(flag string, value, least int, most uint64) error {
		if value < least || uint64(value) > most {
			return refuse(flag, "%d: must be %d to %d", value, least, most)
		}
		return nil
	}
	if caps.Wire != roceaddr.Wire {
		return refuse("transport", "%s: speaks %s and not RoCE; use softroce or verbs", dev.Name(), caps.Wire)
	}
	if !roceaddr.ValidMTU(c.MTU) {
		return refuse("mtu", "%d: must be 256, 512, 1024, 2048 or 4096", c.MTU)
	}
	if c.Timeout <= 0 {
		return refuse("timeout", "%v: must be more than 0", c.Timeout)
	}
	leastPort := 0
	if c.client() {
		leastPort = 1
	}
	for _, err := range []error{
		between("port", c.Port, leastPort, 1<<16-1),
		between("size", c.Size, 1, min(caps.MaxMessageBytes, maxBytes)),
		between("iters", c.Iterations, 1, 1<<31-1),
		between("rx-depth", c.RxDepth, 1, min(uint64(caps.MaxRecvDepth), uint64(caps.MaxQueueDepth)-1)),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Result is the outcome of a game.
type Result struct {
	Bytes      int64 // both directions
	Iterations int
	Elapsed    time.Duration
}

// Write writes the tool's two lines.
func (r Result) Write(w io.Writer) error {
	seconds := r.Elapsed.Seconds()
	_, err := fmt.Fprintf(w, "%d bytes in %.2f seconds = %.2f Mbit/sec\n%d iters in %.2f seconds = %.2f usec/iter\n",
		r.Bytes, seconds, float64(r.Bytes)*8/seconds/1e6, r.Iterations, seconds, seconds*1e6/float64(r.Iterations))
	return err
}

// Run plays a game over the device, as the client or as the server, and closes
// what it made. The context ends it early. Errors: a FlagError; what the peer did
// or did not do.
func Run(ctx context.Context, dev *transport.Device, cfg Config) (Result, error) {
	g, err := begin(ctx, dev, &cfg)
	if err != nil {
		return Result{}, err
	}
	defer g.close()
	return g.play(ctx)
}

// begin finds the peer and makes the connection.
func begin(ctx context.Context, dev *transport.Device, cfg *Config) (*game, error) {
	if err := cfg.check(dev); err != nil {
		return nil, err
	}
	h := &handshake{ctx: ctx, cfg: cfg}
	if cfg.client() {
		h.open = func() (net.Conn, error) { return dial(ctx, cfg) }
	} else {
		l, err := listen(ctx, cfg)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		cfg.OnListen(l.Addr().(*net.TCPAddr).Port)
		h.open = func() (net.Conn, error) { return accept(ctx, l, cfg) }
	}
	g := &game{cfg: cfg}
	err := g.prepare(dev)
	if err == nil {
		err = g.join(ctx, h)
	}
	if err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}
