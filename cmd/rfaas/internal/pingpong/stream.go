package pingpong

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// dial connects to the server.
func dial(ctx context.Context, cfg *Config) (net.Conn, error) {
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	dialer := net.Dialer{Timeout: cfg.Timeout}
	stream, err := dialer.DialContext(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("no server listens at %s: start it there first: 'rfaas roce pingpong' or ibv_rc_pingpong without a host, and with the same --port", address)
	case err != nil:
		return nil, fmt.Errorf("the server cannot be reached: %w", err)
	}
	return stream, nil
}

// listen listens for a client, on all addresses.
func listen(ctx context.Context, cfg *Config) (*net.TCPListener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(cfg.Port)))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("TCP port %d is taken, by another server maybe; choose another --port at both ends", cfg.Port)
	case err != nil:
		return nil, fmt.Errorf("cannot wait for a client: %w", err)
	}
	return l.(*net.TCPListener), nil
}

// accept takes one client, and ends the listening.
func accept(ctx context.Context, l *net.TCPListener, cfg *Config) (net.Conn, error) {
	defer l.Close()
	l.SetDeadline(time.Now().Add(cfg.Timeout))
	defer context.AfterFunc(ctx, func() { l.SetDeadline(time.Unix(1, 0)) })()
	stream, err := l.Accept()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("no client came within --timeout %v", cfg.Timeout)
	case err != nil:
		return nil, fmt.Errorf("cannot take a client: %w", err)
	}
	return stream, nil
}
