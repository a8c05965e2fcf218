package alloc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
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

// dial is the Config.Dial of those who give none. Agents are who they seem: on this
// machine their user is the client's or root, beyond it they have a certificate.
func (c *Config) dial(ctx context.Context, address string) (net.Conn, error) {
	network, at, _ := strings.Cut(address, ":")
	if network == networkTLS {
		d := tls.Dialer{Config: c.TLS}
		return d.DialContext(ctx, "tcp", at)
	}
	stream, err := new(net.Dialer).DialContext(ctx, network, at)
	if err != nil {
		return nil, err
	}
	if err := checkPeer(stream); err != nil {
		stream.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return stream, nil
}

// checkPeer refuses who is at the other end of a stream without TLS, before it is told
// anything.
func checkPeer(stream net.Conn) error {
	switch s := stream.(type) {
	case *net.TCPConn:
		if a, ok := s.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			return errors.New("it is beyond the loopback, where others can listen: agents there are reached with TLS, at tls:HOST:PORT")
		}
	case *net.UnixConn:
		raw, err := s.SyscallConn()
		if err != nil {
			return err
		}
		var peer *unix.Ucred
		if failed := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); failed != nil {
			return failed
		}
		if err != nil {
			return fmt.Errorf("asking who listens there: %w", err)
		}
		if uid := os.Geteuid(); int(peer.Uid) != uid && peer.Uid != 0 {
			return fmt.Errorf("user %d listens there: must be user %d, who asks, or root", peer.Uid, uid)
		}
	}
	return nil
}
