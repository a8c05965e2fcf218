package benchmarks

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// datagrams is either side of baseline-udp-lat: one system call to send, and one
// after the other to receive. The sockets are not connected, as with protocols
// that serve many peers on one port; connected, a round trip is some 8 % shorter.
type datagrams struct {
	socket   *udpSocket
	out, in  []byte // in has a byte more than a datagram, to notice longer ones
	round    byte   // of the datagram last sent or awaited: both of its ends
	patience time.Duration
}

func newDatagrams(ctx context.Context, s *session) (loop, error) {
	socket, port, err := newSocketPair(ctx, s)
	if err != nil {
		return nil, err
	}
	socket.aim(port)
	d := datagramsOver(socket, s.params.SizeBytes)
	if s.leads() {
		return d.lead, nil
	}
	return d.echo, nil
}

func datagramsOver(socket *udpSocket, size int) *datagrams {
	return &datagrams{socket: socket, out: make([]byte, size), in: make([]byte, size+1), patience: lossTimeout}
}

func (d *datagrams) lead(ctx context.Context, n int, out *samples) error {
	pace, watch := newPace(len(d.out)), startStopwatch(out)
	for i := range n {
		d.round++
		if err := d.put(ctx); err != nil {
			return err
		}
		watch.record()
		if err := pace.ended(ctx, i); err != nil {
			return err
		}
		if err := d.await(ctx, d.patience); err != nil {
			return err
		}
		watch.lap()
	}
	watch.record()
	return nil
}

// echo does not notice a loss: one side is enough.
func (d *datagrams) echo(ctx context.Context, n int, _ *samples) error {
	for range n {
		d.round++
		if err := d.await(ctx, 0); err != nil {
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
func (d *datagrams) await(ctx context.Context, limit time.Duration) error {
	var watch lossWatch
	for {
		n, errno := d.socket.receive(d.in)
		if errno == 0 {
			return d.look(n)
		}
		if errno != unix.EAGAIN {
			return os.NewSyscallError("recvfrom", errno)
		}
		if err := watch.looked(ctx, limit); err != nil {
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
