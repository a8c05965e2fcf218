package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	add(&test{
		name:  "baseline-udp-lat",
		about: "bare medium: two processes send one UDP datagram to and fro over the loopback interface, polling",
		modes: []string{Hot}, modesWhy: "it polls its socket; baseline-block-lat sleeps",
		defaultSize: 64, minSize: 1, maxSize: maxDatagramBytes,
		iterations: datagramIterations, bare: true,
		measure: newDatagrams, serve: newDatagrams,
	})
}

// datagramIterations makes a second or so: each takes microseconds.
func datagramIterations(size int, mode string) int {
	return min(latencyIterations(size, mode), 200_000)
}

// datagrams is either side of baseline-udp-lat: one system call to send, and one
// after the other to receive. The sockets are not connected, as with protocols
// that serve many peers on one port; connected, a round trip is some 8 % shorter.
type datagrams struct {
	leads    bool // the measuring side
	socket   *udpSocket
	out, in  []byte // in has a byte more than a datagram, to notice longer ones
	round    byte   // of the datagram last sent or awaited: both of its ends
	patience time.Duration
}

func newDatagrams(ctx context.Context, s *session) (side, error) {
	socket, err := newUDPSocket()
	if err != nil {
		return nil, err
	}
	port, err := socket.peerPort(ctx, s)
	if err != nil {
		return nil, errors.Join(err, socket.close())
	}
	socket.aim(port)
	return datagramsOver(socket, s.params.SizeBytes, s.peer != nil), nil
}

func datagramsOver(socket *udpSocket, size int, leads bool) *datagrams {
	d := &datagrams{leads: leads, socket: socket, out: make([]byte, size), in: make([]byte, size+1)}
	if leads {
		d.patience = lossTimeout
	}
	return d
}

func (d *datagrams) run(ctx context.Context, n int, out *samples) error {
	if !d.leads {
		return d.echo(ctx, n)
	}
	var took int64
	pace, last := newPace(len(d.out)), clock()
	for i := range n {
		d.round++
		if err := d.put(ctx); err != nil {
			return err
		}
		if i > 0 {
			out.add(took) // while the datagram is under way
		}
		if err := pace.ended(ctx, i); err != nil {
			return err
		}
		if err := d.await(ctx); err != nil {
			return err
		}
		now := clock()
		took, last = now-last, now
	}
	out.add(took)
	return nil
}

func (d *datagrams) echo(ctx context.Context, n int) error {
	for range n {
		d.round++
		if err := d.await(ctx); err != nil {
			return err
		}
		if err := d.put(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *datagrams) put(ctx context.Context) error {
	stamp(d.out, d.round)
	return d.socket.sendWaiting(ctx, d.out)
}

// await polls until this round's datagram is there.
func (d *datagrams) await(ctx context.Context) error {
	var watch lossWatch
	for {
		n, errno := d.socket.receive(d.in)
		if errno == 0 {
			return d.look(n)
		}
		if errno != unix.EAGAIN {
			return os.NewSyscallError("recvfrom", errno)
		}
		if err := watch.looked(ctx, d.patience); err != nil {
			return err
		}
	}
}

// look compares a datagram of n bytes with what was to come.
func (d *datagrams) look(n int) error {
	if n != len(d.out) || !stamped(d.in[:n], d.round) {
		return fmt.Errorf("a datagram arrived that is not the one awaited: %d bytes of %d, ends %#x and %#x instead of %#x",
			n, len(d.out), d.in[0], d.in[max(n, 1)-1], d.round)
	}
	return nil
}

func (d *datagrams) close() error { return d.socket.close() }
