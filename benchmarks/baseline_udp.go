package benchmarks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
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

func newDatagrams(_ context.Context, s *session) (loop, error) {
	socket, port, err := socketOf(s)
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
		if err := watch.missed(ctx, "recvfrom", errno, limit); err != nil {
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

// Datagrams are numbered, so that none is missed unnoticed. The number is in the
// place of the RoCE header, its low byte is in the last place as well.
const numberBytes = 8

// A credit is a datagram from the receiver: how many datagrams it has taken so
// far, and how many may have been sent.
const creditBytes = 2 * numberBytes

const (
	// wantedBuffer is what the receiver asks for as its socket's buffer; the
	// kernel grants what its administrator allows, and doubles it.
	wantedBuffer = 4 << 20
	// sharesPerWindow is in how many parts a window is given back.
	sharesPerWindow = 4
)

// newStreamSocket makes one side's socket, with one of the two options, and
// connects it to the other side's.
func newStreamSocket(s *session, option string, name, value int) (*udpSocket, error) {
	u, port, err := socketOf(s)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(u.fd, unix.IPPROTO_UDP, name, value); err != nil {
		return nil, fmt.Errorf("%s, which takes Linux 5.0: %w", option, err)
	}
	return u, u.connect(port)
}

// datagramSource is the measuring side of baseline-udp-bw.
type datagramSource struct {
	segmentation
	socket            *udpSocket
	burst             burst  // batches to be sent
	buffer            []byte // of a burst; the payload is always the same
	credit            []byte
	sent, taken, most uint64 // datagrams: so far; so far by the peer; allowed
	pace              pace
	patience          time.Duration
}

func newDatagramSource(_ context.Context, s *session) (loop, error) {
	d := &datagramSource{segmentation: newSegmentation(s.params.SizeBytes), credit: make([]byte, creditBytes), patience: lossTimeout}
	d.buffer = make([]byte, burstParts*d.batch*d.full)
	d.pace = newPace(len(d.buffer))
	var err error
	d.socket, err = newStreamSocket(s, "UDP_SEGMENT", unix.UDP_SEGMENT, d.full)
	return d.run, err
}

func (d *datagramSource) run(ctx context.Context, n int, _ *samples) error {
	step := d.together(n)
	for left, batches := n, 0; left > 0; left -= step {
		for due := step * d.perMessage; due > 0; batches++ {
			count := min(due, d.batch)
			bytes := count * d.full
			if due -= count; due == 0 {
				bytes += d.last - d.full
			}
			if err := d.put(ctx, count, bytes); err != nil {
				return err
			}
			if err := d.pace.ended(ctx, batches); err != nil {
				return err
			}
		}
	}
	if err := d.socket.sendAll(ctx, &d.burst); err != nil {
		return err
	}
	return d.await(ctx, d.sent, 0)
}

// put adds the next datagrams to the burst, when they may be sent, and sends it
// when it is full.
func (d *datagramSource) put(ctx context.Context, count, bytes int) error {
	if d.sent+uint64(count) > d.most {
		if err := d.socket.sendAll(ctx, &d.burst); err != nil {
			return err
		}
		if err := d.await(ctx, 0, d.sent+uint64(count)); err != nil {
			return err
		}
	}
	batch := d.buffer[d.burst.count*d.batch*d.full:][:bytes]
	for rest := batch; len(rest) > 0; rest = rest[min(d.full, len(rest)):] {
		binary.LittleEndian.PutUint64(rest, d.sent)
		rest[min(d.full, len(rest))-1] = byte(d.sent)
		d.sent++
	}
	if d.burst.add(batch) {
		return d.socket.sendAll(ctx, &d.burst)
	}
	return nil
}

// await takes credits until so many datagrams were taken, and so many may be
// sent.
func (d *datagramSource) await(ctx context.Context, taken, most uint64) error {
	var watch lossWatch
	for d.taken < taken || d.most < most {
		n, errno := d.socket.receive(d.credit)
		switch {
		case errno == 0 && n == creditBytes:
			d.taken, d.most = binary.LittleEndian.Uint64(d.credit), binary.LittleEndian.Uint64(d.credit[numberBytes:])
			watch = lossWatch{}
		case errno == 0:
			return fmt.Errorf("a credit of %d bytes arrived", n)
		default:
			if err := watch.missed(ctx, "recvfrom", errno, d.patience); err != nil {
				return err
			}
		}
	}
	return nil
}

// datagramSink is the peer of baseline-udp-bw.
type datagramSink struct {
	segmentation
	socket         *udpSocket
	buffer, credit []byte
	taken, granted uint64 // datagrams: so far; when the last credit was given
	window, share  uint64 // datagrams
}

func newDatagramSink(ctx context.Context, s *session) (loop, error) {
	d := &datagramSink{segmentation: newSegmentation(s.params.SizeBytes), buffer: make([]byte, 1<<16), credit: make([]byte, creditBytes)}
	var err error
	if d.socket, err = newStreamSocket(s, "UDP_GRO", unix.UDP_GRO, 1); err != nil {
		return nil, err
	}
	granted, err := d.socket.receiveBuffer(wantedBuffer)
	if err != nil {
		return nil, err
	}
	d.window = uint64(d.windowIn(granted))
	d.share = d.window / sharesPerWindow
	return d.run, d.grant(ctx)
}

func (d *datagramSink) run(ctx context.Context, n int, _ *samples) error {
	begin, bytes := d.taken, 0
	end := begin + uint64(n)*uint64(d.perMessage)
	var watch lossWatch
	for d.taken < end {
		got, errno := d.socket.receive(d.buffer)
		if errno != 0 {
			if err := watch.missed(ctx, "recvfrom", errno, 0); err != nil {
				return err
			}
			continue
		}
		if err := d.take(d.buffer[:got]); err != nil {
			return err
		}
		bytes += got
		if d.taken-d.granted >= d.share || d.taken == end {
			if err := d.grant(ctx); err != nil {
				return err
			}
		}
	}
	if want := d.bytes(n); bytes != want {
		return fmt.Errorf("%d bytes arrived in %d datagrams, not %d in %d", bytes, d.taken-begin, want, end-begin)
	}
	return nil
}

// take looks at what one call received: whole datagrams, one or several.
func (d *datagramSink) take(batch []byte) error {
	for len(batch) > 0 {
		one := batch[:min(d.full, len(batch))]
		if len(one) < numberBytes {
			return fmt.Errorf("a datagram of %d bytes arrived", len(one))
		}
		number := binary.LittleEndian.Uint64(one)
		switch {
		case number > d.taken:
			return fmt.Errorf("datagram %d arrived instead of %d: %w", number, d.taken, errLost)
		case number < d.taken || one[len(one)-1] != byte(number):
			return fmt.Errorf("a datagram arrived damaged: number %d instead of %d, last byte %#x", number, d.taken, one[len(one)-1])
		}
		d.taken++
		batch = batch[len(one):]
	}
	return nil
}

// grant gives the sender a credit.
func (d *datagramSink) grant(ctx context.Context) error {
	d.granted = d.taken
	binary.LittleEndian.PutUint64(d.credit, d.taken)
	binary.LittleEndian.PutUint64(d.credit[numberBytes:], d.taken+d.window)
	return d.socket.sendWaiting(ctx, d.credit)
}

// segmentation is how messages are cut into datagrams, and these put together
// for the kernel. The datagrams are those that RoCE makes of a long Write at a
// path MTU of 4096: as much payload, and segmentOverhead.
type segmentation struct {
	perMessage int // datagrams
	full, last int // bytes of a message's datagrams, and of its last one
	batch      int // datagrams that the kernel takes in one piece
}

const (
	segmentPayload = 4096
	// segmentOverhead is the base transport header and the check sum of a RoCE
	// packet. Only the first packet of a Write has more.
	segmentOverhead = 12 + 4
	// maxBatch is UDP_MAX_SEGMENTS; newer kernels take twice as many.
	maxBatch = 64
)

func newSegmentation(size int) segmentation {
	s := segmentation{perMessage: (size + segmentPayload - 1) / segmentPayload}
	s.full = min(size, segmentPayload) + segmentOverhead
	s.last = size - (s.perMessage-1)*segmentPayload + segmentOverhead
	s.batch = min(maxDatagramBytes/s.full, maxBatch)
	return s
}

// together is how many of n messages share batches: a datagram that is shorter
// ends one.
func (s segmentation) together(n int) int {
	if s.last == s.full {
		return n
	}
	return 1
}

// bytes is the length of all datagrams of n messages.
func (s segmentation) bytes(n int) int { return n * ((s.perMessage-1)*s.full + s.last) }

// windowIn is how many datagrams may be under way to a socket whose buffer has so
// many bytes: what fills half of it. A datagram counts with what the kernel
// keeps beside it; and the kernel is late, by up to a quarter of the buffer, to
// account for what was taken.
func (s segmentation) windowIn(bufferBytes int) int {
	const besideBytes = 1024
	return max(bufferBytes/2/(s.full+besideBytes), 2*s.batch)
}

// lossTimeout is how long a baseline waits for an answer. There is none when a
// datagram was lost, or when the peer does not run.
const lossTimeout = 5 * time.Second

// errLost means that a datagram was lost.
var errLost = errors.New("a datagram was lost, and a baseline sends none twice")

// lossWatch ends loops that wait for a datagram. Its zero value is ready, and to
// be used for one wait.
type lossWatch struct {
	looks int
	since int64 // clock of the first check; 0 before
}

// missed is what to make of a system call on a socket that did nothing: to look again
// later, as looked says, or its error.
func (w *lossWatch) missed(ctx context.Context, name string, errno syscall.Errno, limit time.Duration) error {
	if errno != unix.EAGAIN {
		return os.NewSyscallError(name, errno)
	}
	return w.looked(ctx, limit)
}

// looked counts a look at a socket that found nothing. Now and then it says
// whether to go on. limit is how long to wait, 0 for as long as the context
// lasts: one side of a test is enough to notice a loss.
func (w *lossWatch) looked(ctx context.Context, limit time.Duration) error {
	if w.looks++; w.looks%looksPerCheck != 0 {
		return nil
	}
	return w.check(ctx, limit)
}

func (w *lossWatch) check(ctx context.Context, limit time.Duration) error {
	now := clock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case w.since == 0:
		w.since = now
	case limit > 0 && now-w.since > int64(limit):
		return fmt.Errorf("no answer for %v: %w", limit, errLost)
	}
	return nil
}
