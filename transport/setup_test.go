package transport_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

func newEnds(t *testing.T) (a, b *pairtest.End) {
	return pairtest.NewEnd(t, "loopback:"), pairtest.NewEnd(t, "loopback:")
}

// streams are the kinds of stream that a connection may be set up on.
var streams = map[string]func(t *testing.T) (a, b net.Conn){
	"pipe": func(*testing.T) (a, b net.Conn) { return net.Pipe() },
	"tcp":  func(t *testing.T) (a, b net.Conn) { return dialed(t, "tcp", "127.0.0.1:0") },
	"unix": func(t *testing.T) (a, b net.Conn) { return dialed(t, "unix", "@"+t.Name()) },
	"tls":  tlsStream,
}

func dialed(t *testing.T, network, address string) (a, b net.Conn) {
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	defer l.Close()
	a, err = net.Dial(network, l.Addr().String())
	require.NoError(t, err)
	b, err = l.Accept()
	require.NoError(t, err)
	return a, b
}

// TestPeer: what each end learns of the other.
func TestPeer(t *testing.T) {
	t.Parallel()
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newEnds(t)
			ca, cb := a.Config(), b.Config()
			ca.PrivateData = []byte("from a")
			cb.PrivateData = bytes.Repeat([]byte("b"), transport.MaxPrivateData)
			var asked transport.Peer
			cb.Authorize = func(_ context.Context, peer transport.Peer) error {
				asked = peer
				return nil
			}
			sa, sb := stream(t)
			a.Conn, b.Conn = pairtest.ConnectOver(t, a, b, ca, cb, sa, sb)
			require.Equal(t, cb.PrivateData, a.Conn.Peer().PrivateData)
			require.Equal(t, ca.PrivateData, b.Conn.Peer().PrivateData)
			require.Equal(t, b.Conn.Peer(), asked)
			require.Equal(t, "loopback", a.Conn.Peer().Provider)
			if name == "unix" {
				self := &transport.Credentials{PID: os.Getpid(), UID: os.Geteuid(), GID: os.Getegid()}
				require.Equal(t, self, a.Conn.Peer().Credentials)
				require.Equal(t, self, b.Conn.Peer().Credentials)
			} else {
				require.Nil(t, a.Conn.Peer().Credentials)
			}
			require.Same(t, a.Dev, a.Conn.Device())
			require.Equal(t, 64, a.Conn.InlineBytes())
			require.NoError(t, a.Conn.Close())
			<-b.Conn.Done()
			require.ErrorIs(t, b.Conn.Err(), transport.ErrPeerClosed)
		})
	}
}

var errNotYou = errors.New("not you")

func refuse(context.Context, transport.Peer) error { return errNotYou }

// TestRefusal: either end may refuse, and the other one is told why. Neither
// keeps anything of the connection.
func TestRefusal(t *testing.T) {
	t.Parallel()
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, dialer := range []bool{true, false} {
				a, b := newEnds(t)
				ca, cb := a.Config(), b.Config()
				own := &cb
				if dialer {
					own = &ca
				}
				own.Authorize = refuse
				sa, sb := stream(t)
				_, _, errOwn, errOther := pairtest.SetUp(a, b, ca, cb, sa, sb)
				if !dialer {
					errOwn, errOther = errOther, errOwn
				}
				require.ErrorIs(t, errOwn, transport.ErrRejected)
				require.ErrorIs(t, errOwn, errNotYou)
				require.ErrorIs(t, errOther, transport.ErrRejected)
				require.ErrorContains(t, errOther, "connection refused by the peer: connection refused: not you")

				own.Authorize = nil
				ca.SendDepth, cb.SendDepth = pairtest.QueueDepth-8, pairtest.QueueDepth-8 // all there is
				sa, sb = stream(t)
				pairtest.ConnectOver(t, a, b, ca, cb, sa, sb)
			}
		})
	}
}

func TestReject(t *testing.T) {
	t.Parallel()
	a, b := newEnds(t)
	sa, sb := net.Pipe()
	why := transport.Rejection{Code: 4711, Reason: "come back tomorrow", Data: []byte("at nine")}
	requests := make(chan *transport.Request, 1)
	go func() {
		r, err := transport.Receive(context.Background(), sb)
		if err == nil {
			big := transport.Rejection{Data: make([]byte, transport.MaxRejectionData+1)}
			assert.ErrorIs(t, r.Reject(big), transport.ErrOutOfRange)
			assert.NoError(t, r.Reject(why))
			assert.ErrorIs(t, r.Reject(transport.Rejection{Reason: "twice"}), transport.ErrInvalid)
		}
		requests <- r
	}()
	_, err := a.Dev.Connect(t.Context(), sa, a.Config())
	require.ErrorIs(t, err, transport.ErrRejected)
	require.ErrorContains(t, err, "transport: loopback: connect to peer at pipe: connection refused by the peer: come back tomorrow")
	told, ok := errors.AsType[*transport.RejectedError](err)
	require.True(t, ok)
	require.Equal(t, why, told.Rejection)
	r := <-requests
	require.NotNil(t, r)
	_, err = r.Accept(t.Context(), b.Config())
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorContains(t, err, "the request was accepted, rejected or detached before")
}

// TestMismatch: ends that do not speak the same are told apart by both.
func TestMismatch(t *testing.T) {
	t.Parallel()
	a := pairtest.NewEnd(t, "loopback:")
	dev := transport.NewDevice("other", limited{loopback.New(), func(caps *transport.Capabilities) { caps.Wire = "other/2" }})
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	b := pairtest.NewEndOn(t, dev)
	sa, sb := net.Pipe()
	_, _, errA, errB := pairtest.SetUp(a, b, a.Config(), b.Config(), sa, sb)
	const text = `the peer speaks "loopback/1" (device loopback), this end "other/2" (device other); use one transport on both ends`
	require.ErrorIs(t, errB, transport.ErrNotSupported)
	require.ErrorContains(t, errB, text)
	require.ErrorIs(t, errA, transport.ErrRejected)
	require.ErrorContains(t, errA, text)
}

// TestBadConfig: configurations that are refused before anything is sent.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	a, b := newEnds(t)
	shared, err := b.PD.NewSharedReceive(b.Queue, 4)
	require.NoError(t, err)
	for text, change := range map[string]func(cfg *transport.ConnConfig){
		"ConnConfig needs Domain, SendQueue and RecvQueue":                                               func(cfg *transport.ConnConfig) { cfg.RecvQueue = nil },
		"must be made from the device that connects":                                                     func(cfg *transport.ConnConfig) { cfg.Domain = b.PD },
		"Shared must have the connection's Domain and RecvQueue":                                         func(cfg *transport.ConnConfig) { cfg.Shared = shared },
		"4097 bytes of private data; at most 4096":                                                       func(cfg *transport.ConnConfig) { cfg.PrivateData = make([]byte, 4097) },
		"SendDepth is -1; this provider takes at most 65536":                                             func(cfg *transport.ConnConfig) { cfg.SendDepth = -1 },
		"RecvDepth is 65537; this provider takes at most 65536":                                          func(cfg *transport.ConnConfig) { cfg.RecvDepth = 65537 },
		"InlineBytes is 257; this provider takes at most 256":                                            func(cfg *transport.ConnConfig) { cfg.InlineBytes = 257 },
		"the completion queue is too small: depth 1024, 0 reserved by its connections, 1025 more needed": func(cfg *transport.ConnConfig) { cfg.SendDepth = 1025 },
	} {
		cfg := a.Config()
		change(&cfg)
		sa, sb := net.Pipe()
		_, _, errA, errB := pairtest.SetUp(a, b, cfg, b.Config(), sa, sb)
		require.ErrorContains(t, errA, text)
		require.ErrorIs(t, errB, transport.ErrRejected, "the peer is told")
		require.ErrorContains(t, errB, text)
	}
	require.Len(t, a.Dev.Inventory(), 2, "no connection is left")
}

// TestCancelledSetUp: the context ends when the set-up has come to a certain
// point, at which the peer keeps silent.
func TestCancelledSetUp(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(ctx context.Context, cancel func(), e *pairtest.End) error{
		"nobody answers the dialer": func(ctx context.Context, cancel func(), e *pairtest.End) error {
			sa, sb := net.Pipe()
			go func() { sb.Read(make([]byte, 1)); cancel() }()
			_, err := e.Dev.Connect(ctx, sa, e.Config())
			return err
		},
		"the dialer says nothing": func(ctx context.Context, cancel func(), e *pairtest.End) error {
			_, sb := net.Pipe()
			cancel()
			_, err := transport.Receive(ctx, sb)
			return err
		},
		"the dialer stops in the middle": func(ctx context.Context, cancel func(), e *pairtest.End) error {
			sa, sb := dialed(t, "tcp", "127.0.0.1:0")
			defer sa.Close()
			sa.Write([]byte{0, 0, 0, 100, 1})
			time.AfterFunc(time.Millisecond, cancel)
			_, err := transport.Receive(ctx, sb)
			return err
		},
		"the dialer does not go on after the accept": func(ctx context.Context, cancel func(), e *pairtest.End) error {
			sa, sb := dialed(t, "tcp", "127.0.0.1:0")
			defer sa.Close()
			other := pairtest.NewEnd(t, "loopback:")
			cfg := other.Config()
			cfg.Authorize = func(inner context.Context, _ transport.Peer) error {
				cancel()
				<-inner.Done() // for ever, but for what the test does below
				return inner.Err()
			}
			otherCtx, otherCancel := context.WithCancel(context.Background())
			defer otherCancel()
			go other.Dev.Connect(otherCtx, sa, cfg)
			r, err := transport.Receive(context.Background(), sb)
			require.NoError(t, err)
			_, err = r.Accept(ctx, e.Config())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := pairtest.NewEnd(t, "loopback:")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			err := set(ctx, cancel, e)
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorContains(t, err, "connection set-up: context canceled")
			require.Len(t, e.Dev.Inventory(), 2, "no connection is left")
			a, b := e, pairtest.NewEnd(t, "loopback:")
			cfg := a.Config()
			cfg.SendDepth = pairtest.QueueDepth - cfg.RecvDepth // all there is
			pairtest.Connect(t, a, b, cfg, b.Config())
		})
	}
}

// FuzzReceive is a dialer that sends anything at all.
func FuzzReceive(f *testing.F) {
	dev, err := transport.Open("loopback:")
	require.NoError(f, err)
	f.Cleanup(func() { dev.Close() })
	f.Add([]byte("\x00\x00\x00\x1c\x01\x00\x00\x00rfaas\x02\x0aloopback/1\x08loopback\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x05\x03\x00\x00\x00later"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sa, sb := net.Pipe()
		go func() {
			sa.Write(data)
			sa.Close()
		}()
		r, err := transport.Receive(context.Background(), sb)
		switch {
		case err == nil:
			require.Equal(t, "pipe", r.Peer().Address.String())
			r.Reject(transport.Rejection{Reason: "no"})
		default:
			var op *transport.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, transport.ScopeConnection, op.Scope)
		}
	})
}
