package alloc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/transport"
)

// networks are the schemes of agents' addresses.
const (
	networkUnix = "unix"
	networkTCP  = "tcp" // of this machine only
	networkTLS  = "tls" // TLS over TCP
)

// checkAddress checks one of Config.Agents.
func checkAddress(a string) error {
	switch network, address, ok := strings.Cut(a, ":"); {
	case !ok || address == "":
	case network == networkUnix, network == networkTCP, network == networkTLS:
		return nil
	}
	return fmt.Errorf("alloc: the address %q of an agent: give unix:PATH, unix:@NAME, tcp:HOST:PORT or tls:HOST:PORT", a)
}

// dial is the default Config.Dial. Agents are authenticated: on this machine their user is
// the client's or root, beyond it they have a certificate.
func (c *Config) dial(ctx context.Context, address string) (net.Conn, error) {
	network, at, _ := strings.Cut(address, ":")
	if network == networkTLS {
		d := tls.Dialer{Config: c.TLS}
		stream, err := d.DialContext(ctx, "tcp", at)
		return stream, withoutAddress(err)
	}
	stream, err := transport.DialStream(ctx, network, at)
	if err != nil {
		return nil, withoutAddress(err)
	}
	if err := checkPeer(stream); err != nil {
		stream.Close()
		return nil, &distrustError{fmt.Errorf("%s: %w", address, err)}
	}
	return stream, nil
}

// withoutAddress is an error of package net without the address, which is told with the agent.
func withoutAddress(err error) error {
	if e, ok := err.(*net.OpError); ok {
		return e.Err
	}
	return err
}

// distrustError is why a listener is not trusted. Nothing was sent to it.
type distrustError struct{ error }

// lasting says whether an error of a node's is there to stay, whenever it is asked again.
func lasting(err error) bool {
	if refused, ok := errors.AsType[*lease.RefusedError](err); ok {
		return !refused.Reason.Passing()
	}
	_, distrusted := errors.AsType[*distrustError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	return distrusted || certificate
}

// explain adds to an error of the set-up what may be the matter: TLS hangs up on what it
// does not understand.
func explain(address string, err error) error {
	if strings.HasPrefix(address, networkTCP+":") && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return fmt.Errorf("%w; does the agent speak TLS? then its address is tls:HOST:PORT", err)
	}
	return err
}

// checkPeer refuses the other end of a stream without TLS, before anything is sent to it.
func checkPeer(stream net.Conn) error {
	switch a := stream.RemoteAddr().(type) {
	case *net.TCPAddr:
		if a.IP.IsLoopback() {
			return nil
		}
		return errors.New("it is beyond the loopback, where others can listen: agents there are reached with TLS, at tls:HOST:PORT")
	case *net.UnixAddr:
		return checkListener(stream)
	}
	return fmt.Errorf("a stream to %v: must be TCP or a Unix socket", stream.RemoteAddr())
}

// checkListener refuses a Unix socket of another user: any process can take its name.
func checkListener(stream net.Conn) error {
	switch peer := transport.PeerCredentials(stream); {
	case peer == nil:
		return errors.New("the kernel does not say who listens there")
	case !peer.Trusted():
		return fmt.Errorf("user %d listens there: must be user %d, as this process, or root", peer.UID, os.Geteuid())
	}
	return nil
}
