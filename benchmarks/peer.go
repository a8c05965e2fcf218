package benchmarks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
)

// peer is the other side of a measurement, as the measuring side holds it.
type peer struct {
	network, address string
	admission        key
	process          *process      // nil if it is not a child of this process
	here             bool          // it is in this process
	ended            chan struct{} // here: closed when it has ended
	cancel           context.CancelFunc
}

// startPeer starts a peer on this machine: a process, or a goroutine for
// transports that do not leave the process.
func startPeer(ctx context.Context, files []*os.File, here bool) (*peer, error) {
	if !here && !hooked.Load() {
		return nil, errNotHooked
	}
	p := &peer{network: "unix", admission: newKey(), here: here}
	name := newKey()
	p.address = "@rfaas-bench-" + hex.EncodeToString(name[:]) // nothing in the file system
	listener, err := net.Listen(p.network, p.address)
	if err != nil {
		return nil, fmt.Errorf("a socket for the peer: %w", err)
	}
	if here {
		ctx, cancel := context.WithCancel(ctx)
		p.cancel, p.ended = cancel, make(chan struct{})
		h := &host{listener: listener, admission: p.admission, once: true, patience: defaultPatience, note: func(string) {}}
		go func() {
			h.serve(ctx) // its error has been told over the control stream
			close(p.ended)
		}()
		return p, nil
	}
	defer listener.Close()
	p.process, err = startProcess(listener.(*net.UnixListener), p.admission, files)
	return p, err
}

// begin opens the control stream and tells the peer what to do. onEnd is called
// when the peer is gone or failed.
func (p *peer) begin(ctx context.Context, what params, onEnd func(error)) (*control, message, error) {
	conn, err := dialStream(ctx, p.network, p.address, controlStream, p.admission)
	if err != nil {
		return nil, message{}, p.reason(err)
	}
	c := newControl(conn, func(err error) { onEnd(p.reason(err)) })
	err = c.send(message{Kind: messageStart, Params: &what})
	var hello message
	if err == nil {
		hello, err = c.expect(ctx, messageHello)
	}
	if err != nil {
		if ctx.Err() != nil { // what the peer makes of that does not matter
			err = context.Cause(ctx)
		} else {
			err = p.reason(err)
		}
		c.close()
		return nil, message{}, err
	}
	return c, hello, nil
}

// reason replaces "hung up" by how the peer's process ended, if it did.
func (p *peer) reason(err error) error {
	if _, told := errors.AsType[*peerError](err); told || p.process == nil {
		return err
	}
	if death := p.process.death(); death != nil {
		return death
	}
	return err
}

// stop ends the peer. After a failure it gets no time for it.
func (p *peer) stop(failed bool) {
	switch {
	case p.process != nil && failed:
		p.process.stop(0)
	case p.process != nil:
		p.process.stop(exitTimeout)
	case p.here:
		if failed {
			p.cancel()
		}
		<-p.ended
		p.cancel()
	}
}
