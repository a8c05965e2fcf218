package softroce_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
)

// within runs f in a network namespace.
func within(t *testing.T, namespace string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // the thread ends with the goroutine
		file, err := os.Open("/run/netns/" + namespace)
		if err == nil {
			defer file.Close()
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			t.Errorf("entering namespace %s: %v", namespace, err)
			return
		}
		f()
	}()
	<-done
	if t.Failed() {
		t.FailNow()
	}
}

// Where the route to the peer has room for less than the interface with the address,
// messages of many packets pass all the same, at once.
func TestRouteMTU(t *testing.T) {
	effort.TwoProcesses(t)
	const (
		a6, b6   = "fd79::1", "fd79::2"
		onA, onB = "10.80.0.1", "10.80.0.2"
	)
	for _, c := range []struct {
		name string
		mtu  int // of the wire
		a, b string
		// prepare adds to the hosts.
		prepare func(h hosts)
	}{
		{"one end's route of its own", 9000, addressA, addressB, func(h hosts) {
			run(t, "ip", "-n", h.a, "route", "replace", "10.79.0.0/24", "dev", "wire", "src", addressA, "mtu", "1500")
		}},
		{"one end's route of its own, IPv6", 9000, "[" + a6 + "]", "[" + b6 + "]", func(h hosts) {
			run(t, "ip", "-n", h.a, "address", "add", a6+"/64", "dev", "wire", "nodad")
			run(t, "ip", "-n", h.b, "address", "add", b6+"/64", "dev", "wire", "nodad")
			run(t, "ip", "-n", h.b, "route", "add", a6+"/128", "dev", "wire", "mtu", "1500")
		}},
		{"addresses on lo", 1500, onA, onB, func(h hosts) {
			run(t, "ip", "-n", h.a, "address", "add", onA+"/32", "dev", "lo")
			run(t, "ip", "-n", h.b, "address", "add", onB+"/32", "dev", "lo")
			run(t, "ip", "-n", h.a, "route", "add", onB+"/32", "via", addressB, "src", onA)
			run(t, "ip", "-n", h.b, "route", "add", onA+"/32", "via", addressA, "src", onB)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHosts(t, c.mtu)
			c.prepare(h)
			sa, sb := net.Pipe()
			ctx, cancel := context.WithTimeout(t.Context(), pairtest.Patience)
			defer cancel()
			var a, b *pairtest.End
			accepted := make(chan struct{})
			within(t, h.b, func() { b = pairtest.NewEnd(t, "softroce://"+c.b+"?trust-network") })
			go func() {
				defer close(accepted)
				within(t, h.b, func() {
					r, err := transport.Receive(ctx, sb)
					if err == nil {
						b.Conn, err = r.Accept(ctx, b.Config())
					}
					if err != nil {
						t.Errorf("accept: %v", err)
					}
				})
			}()
			within(t, h.a, func() {
				a = pairtest.NewEnd(t, "softroce://"+c.a+"?trust-network")
				var err error
				if a.Conn, err = a.Dev.Connect(ctx, sa, a.Config()); err != nil {
					t.Errorf("connect: %v", err)
				}
			})
			<-accepted
			require.False(t, t.Failed())

			const size = 1 << 17
			from, to, back := a.Alloc(size, transport.RemoteAll), b.Alloc(size, transport.RemoteAll), a.Alloc(size, transport.RemoteAll)
			for i := range from.Bytes() {
				from.Bytes()[i] = byte(i * 7)
			}
			a.Post(transport.Write(1, from.Span(0, size), to.Remote(0, size)),
				transport.Read(2, back.Span(0, size), to.Remote(0, size)).With(transport.Signaled|transport.Fence))
			require.Equal(t, transport.StatusOK, a.Take(1)[0].Status)
			require.Equal(t, from.Bytes(), to.Bytes())
			require.Equal(t, from.Bytes(), back.Bytes())
			for _, e := range []*pairtest.End{a, b} {
				require.Zero(t, e.Dev.Adapter().(*softroce.Adapter).Counters()["send_errors"])
			}
		})
	}
}

// The other end of a connection that is no softroce does not say what its route has room
// for. If this end's has less, the connection is refused, and says with what it works.
func TestRouteMTUOfOthers(t *testing.T) {
	effort.TwoProcesses(t)
	h := newHosts(t, 9000)
	run(t, "ip", "-n", h.a, "route", "replace", "10.79.0.0/24", "dev", "wire", "src", addressA, "mtu", "1500")
	ctx, cancel := context.WithTimeout(t.Context(), pairtest.Patience)
	defer cancel()
	sa, across := net.Pipe()
	back, sb := net.Pipe()
	go io.Copy(back, across)
	go sayNoMTU(across, back)
	within(t, h.b, func() {
		b := pairtest.NewEnd(t, "softroce://"+addressB+"?trust-network")
		go func() {
			if r, err := transport.Receive(ctx, sb); err == nil {
				r.Accept(ctx, b.Config()) // the other end's error is the test's
			}
		}()
	})
	within(t, h.a, func() {
		a := pairtest.NewEnd(t, "softroce://"+addressA+"?trust-network")
		_, err := a.Dev.Connect(ctx, sa, a.Config())
		if err == nil {
			t.Error("it is connected")
			return
		}
		require.ErrorContains(t, err, "the route to "+addressB+" has room for a path MTU of 1024, and the peer, which is no softroce, is ready for 4096; open this device with the parameter mtu=1024")
	})
}

// sayNoMTU copies a set-up stream, and cuts the message of an end that is ready to the word.
func sayNoMTU(to io.Writer, from io.Reader) {
	for {
		frame := make([]byte, 8)
		if _, err := io.ReadFull(from, frame); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(frame))
		if _, err := io.ReadFull(from, payload); err != nil {
			return
		}
		if string(payload[:min(len(payload), 5)]) == "ready" {
			payload = payload[:5]
			binary.BigEndian.PutUint32(frame, 5)
		}
		to.Write(append(frame, payload...))
	}
}
