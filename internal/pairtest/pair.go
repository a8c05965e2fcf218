// Package pairtest connects two ends in one process, for unit tests of the
// front, of loopback and of the decorators. What every provider must pass is in
// transporttest.
package pairtest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// Patience bounds the waits of a test. Only a defect makes it wait as long.
const Patience = 30 * time.Second

// QueueDepth is the depth of an End's queue.
const QueueDepth = 1 << 10

// End is one side of a connection, with its device, domain and queue.
type End struct {
	T     testing.TB
	Dev   *transport.Device
	PD    *transport.ProtectionDomain
	Queue *transport.Queue
	Conn  *transport.Conn
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// NewEnd opens a device, which is closed at the end of the test, and makes what
// a connection needs.
func NewEnd(t testing.TB, url string) *End {
	t.Helper()
	dev, err := transport.Open(url)
	noError(t, err)
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return NewEndOn(t, dev)
}

// NewEndOn makes what a connection needs on a device.
func NewEndOn(t testing.TB, dev *transport.Device) *End {
	t.Helper()
	pd, err := dev.NewProtectionDomain()
	noError(t, err)
	queue, err := dev.NewQueue(QueueDepth)
	noError(t, err)
	return &End{T: t, Dev: dev, PD: pd, Queue: queue}
}

// Config is a small connection at e.
func (e *End) Config() transport.ConnConfig {
	return transport.ConnConfig{Domain: e.PD, SendQueue: e.Queue, RecvQueue: e.Queue, SendDepth: 8, RecvDepth: 8, InlineBytes: 64}
}

// New makes two connected ends, both of the URL.
func New(t testing.TB, url string) (a, b *End) {
	t.Helper()
	a, b = NewEnd(t, url), NewEnd(t, url)
	a.Conn, b.Conn = Connect(t, a, b, a.Config(), b.Config())
	return a, b
}

// Connect connects two ends over an in-memory stream.
func Connect(t testing.TB, a, b *End, ca, cb transport.ConnConfig) (*transport.Conn, *transport.Conn) {
	t.Helper()
	sa, sb := net.Pipe()
	return ConnectOver(t, a, b, ca, cb, sa, sb)
}

// ConnectOver connects two ends over a stream, of which sa and sb are the ends.
func ConnectOver(t testing.TB, a, b *End, ca, cb transport.ConnConfig, sa, sb net.Conn) (*transport.Conn, *transport.Conn) {
	t.Helper()
	connA, connB, errA, errB := SetUp(a, b, ca, cb, sa, sb)
	if errA != nil || errB != nil {
		t.Fatalf("connect: %v; accept: %v", errA, errB)
	}
	return connA, connB
}

// SetUp is ConnectOver for set-ups that may fail.
func SetUp(a, b *End, ca, cb transport.ConnConfig, sa, sb net.Conn) (connA, connB *transport.Conn, errA, errB error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		var r *transport.Request
		if r, errB = transport.Receive(ctx, sb); errB == nil {
			connB, errB = r.Accept(ctx, cb)
		}
	}()
	connA, errA = a.Dev.Connect(ctx, sa, ca)
	<-accepted
	return connA, connB, errA, errB
}

// Alloc makes a region in e's protection domain.
func (e *End) Alloc(size int, access transport.Access) *transport.Region {
	e.T.Helper()
	r, err := e.PD.Alloc(size, access)
	noError(e.T, err)
	return r
}

// Post posts requests, all of which have to be taken.
func (e *End) Post(wrs ...transport.WorkRequest) {
	e.T.Helper()
	if n, err := e.Conn.Post(wrs...); err != nil || n != len(wrs) {
		e.T.Fatalf("posted %d of %d sends: %v", n, len(wrs), err)
	}
}

// Recv posts receives, all of which have to be taken.
func (e *End) Recv(wrs ...transport.WorkRequest) {
	e.T.Helper()
	if n, err := e.Conn.PostRecv(wrs...); err != nil || n != len(wrs) {
		e.T.Fatalf("posted %d of %d receives: %v", n, len(wrs), err)
	}
}

// Take waits for n completions.
func (e *End) Take(n int) []transport.Completion {
	e.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	got := make([]transport.Completion, n)
	for have := 0; have < n; {
		k, err := e.Queue.Wait(ctx, got[have:], transport.Warm)
		if err != nil {
			e.T.Fatalf("%d of %d completions came: %v", have, n, err)
		}
		have += k
	}
	return got
}

// Ended waits for the end of e's connection, and returns why it ended.
func (e *End) Ended() error {
	e.T.Helper()
	select {
	case <-e.Conn.Done():
	case <-time.After(Patience):
		e.T.Fatal("the connection did not end")
	}
	return e.Conn.Err()
}

// Nothing checks that there is no completion to be polled.
func (e *End) Nothing() {
	e.T.Helper()
	var c [1]transport.Completion
	if n, err := e.Queue.Poll(c[:]); n != 0 || err != nil {
		e.T.Fatalf("unexpected completion %+v, %v", c[0], err)
	}
}

// IDs are the IDs of completions.
func IDs(cs []transport.Completion) (ids []uint64) {
	for _, c := range cs {
		ids = append(ids, c.ID)
	}
	return ids
}
