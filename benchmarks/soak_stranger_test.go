package benchmarks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// stranger is a client of the worker that speaks its protocols by itself: byte by byte, it
// can say what no client of ours would. The layouts are those of transport's link and
// hello, of shm's halves and messages, and of invoke's hello and requests.
type stranger struct {
	stream    *net.UnixConn
	wire      string
	half      []byte // its ring, which the worker reads
	posted    uint32
	announced uint32
}

// Kinds of frames, of control messages, and of messages in the ring.
const (
	helloFrame    = 1
	acceptFrame   = 2
	exchangeFrame = 4
	controlFrame  = 5

	announceMessage = 1
	withdrawMessage = 2
	ringMessage     = 5

	writeImmSlot = 1
)

const (
	strangerSlots = 256 // of the ring
	replyKey      = 77
	replyAddress  = 0x10000
	strangerCalls = 2 // slots for calls
	leastSlot     = 256
	soakPage      = 4096
)

// stay is how long those stay who say nothing.
const stay = 200 * time.Millisecond

// dial connects, and says nothing yet.
func (o *soakOthers) dial() (*stranger, error) {
	stream, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: o.address, Net: "unix"})
	if err != nil {
		return nil, err
	}
	stream.SetDeadline(time.Now().Add(time.Minute)) // of all that it says and hears
	return &stranger{stream: stream, wire: o.dev.Capabilities().Wire}, nil
}

// connect sets up a connection, and announces where replies go.
func (o *soakOthers) connect() (*stranger, error) {
	s, err := o.strange()
	if err == nil {
		if err = s.announce(replyKey, soakPage); err != nil {
			s.close()
		}
	}
	return s, err
}

// strange sets up a connection.
func (o *soakOthers) strange() (*stranger, error) {
	o.budget.wait()
	s, err := o.dial()
	if err != nil {
		return nil, err
	}
	if err := s.setUp(); err != nil {
		s.close()
		return nil, fmt.Errorf("connection set-up: %w", err)
	}
	return s, nil
}

// as is somebody who connects in a way, does something, and is gone.
func as(connect func(*soakOthers) (*stranger, error), do func(*soakOthers, *stranger) error) func(*soakOthers) error {
	return func(o *soakOthers) error {
		s, err := connect(o)
		if err != nil {
			return err
		}
		defer s.close()
		return do(o, s)
	}
}

func (s *stranger) close() {
	s.stream.Close()
	if s.half != nil {
		unix.Munmap(s.half)
		s.half = nil
	}
}

func (s *stranger) frame(kind byte, payload []byte, fds ...int) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	b = append(append(b, kind, byte(len(fds)), 0, 0), payload...)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err := s.stream.WriteMsgUnix(b, rights, nil)
	return err
}

// read takes a frame. Descriptors that come with it are lost.
func (s *stranger) read() (kind byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(s.stream, head[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err = io.ReadFull(s.stream, payload)
	return head[4], payload, err
}

func (s *stranger) expect(want byte) error {
	kind, payload, err := s.read()
	if err == nil && kind != want {
		err = fmt.Errorf("a frame of kind %d instead of %d: %q", kind, want, payload)
	}
	return err
}

// hello is the payload of the first frame.
func (s *stranger) hello() []byte {
	p := binary.LittleEndian.AppendUint16([]byte("rfiv"), invoke.Version)
	p = binary.LittleEndian.AppendUint16(p, strangerCalls)
	p = binary.LittleEndian.AppendUint32(p, leastSlot)
	p = binary.LittleEndian.AppendUint64(p, 1000) // id of the first call
	p = transport.RemoteSpan{Addr: replyAddress, Len: headerRoom + leastSlot, Key: replyKey}.AppendTo(p)
	p = binary.LittleEndian.AppendUint64(p, 0)
	p = binary.LittleEndian.AppendUint16(p, 0) // no token
	b := append([]byte("rfaas\x02"), byte(len(s.wire)))
	b = append(append(b, s.wire...), 1, 'x')
	return append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
}

const headerRoom = 64

func (s *stranger) setUp() error {
	if err := s.frame(helloFrame, s.hello()); err != nil {
		return err
	}
	if err := s.expect(acceptFrame); err != nil {
		return err
	}
	const header, slot, side = 256, 64, 256
	fd, err := memoryFile(header + strangerSlots*(slot+side))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if s.half, err = unix.Mmap(fd, 0, header+strangerSlots*(slot+side), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	if err := s.frame(exchangeFrame, binary.BigEndian.AppendUint32(nil, strangerSlots), fd); err != nil {
		return err
	}
	if err := s.expect(exchangeFrame); err != nil {
		return err
	}
	if err := s.frame(exchangeFrame, nil); err != nil {
		return err
	}
	return s.expect(exchangeFrame)
}

// memoryFile is one that the worker maps.
func memoryFile(bytes int) (int, error) {
	fd, err := unix.MemfdCreate("soak", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, err
	}
	pages := (bytes + soakPage - 1) / soakPage * soakPage
	if err = unix.Ftruncate(fd, int64(pages)); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// promise says that so many regions more are announced.
func (s *stranger) promise(regions uint32) {
	s.announced += regions
	binary.NativeEndian.PutUint32(s.half, s.announced)
}

// announce announces a region, of which there is one page whatever its size.
func (s *stranger) announce(key uint32, size uint64) error {
	s.promise(1)
	fd, err := memoryFile(2 * soakPage) // and one for its end
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := binary.BigEndian.AppendUint32([]byte{announceMessage}, key)
	b = append(b, byte(transport.RemoteAll))
	b = binary.BigEndian.AppendUint64(b, replyAddress)
	b = binary.BigEndian.AppendUint64(b, size)
	return s.frame(controlFrame, b, fd)
}

func (s *stranger) withdraw(key uint32) error {
	return s.frame(controlFrame, binary.BigEndian.AppendUint32([]byte{withdrawMessage}, key))
}

// call calls the first function, without input, and does not look at the reply.
func (s *stranger) call() error {
	const first, header, slot = 1, 256, 64
	at := s.half[header+int(s.posted%strangerSlots)*slot:][:slot]
	binary.NativeEndian.PutUint32(at[4:], headerRoom)
	binary.NativeEndian.PutUint32(at[8:], s.posted%strangerCalls|first<<12)
	at[12] = writeImmSlot
	s.posted++
	binary.NativeEndian.PutUint32(at, s.posted)
	return s.frame(controlFrame, []byte{ringMessage})
}

// dropped waits until the worker has hung up.
func (s *stranger) dropped() error {
	for {
		_, _, err := s.read()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errors.New("the worker does not drop it")
		case err != nil:
			return nil
		}
	}
}

// silent connects and says nothing.
func (o *soakOthers) silent(s *stranger) error {
	time.Sleep(stay)
	return nil
}

func (o *soakOthers) halfGreeting(s *stranger) error {
	hello := s.hello()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(hello)))
	_, err := s.stream.Write(append(append(b, helloFrame, 0, 0, 0), hello[:len(hello)/2]...))
	return err
}

func nonsense() []byte {
	b := make([]byte, 64)
	for i := range b {
		b[i] = byte(0x80 | rand.N(0x80)) // a frame much too long, among others
	}
	return b
}

func (o *soakOthers) garbage(s *stranger) error {
	if _, err := s.stream.Write(nonsense()); err != nil {
		return err
	}
	return s.dropped()
}

// manyRegions announces what a peer may, calls, and is gone.
func (o *soakOthers) manyRegions(s *stranger) error {
	for i := range uint32(100) {
		if i%10 == 0 {
			o.budget.wait()
		}
		if err := s.announce(1000+i, soakPage); err != nil {
			return err
		}
	}
	return s.call()
}

func (o *soakOthers) sameRegion(s *stranger) error {
	if err := s.announce(replyKey, soakPage); err != nil {
		return err
	}
	return s.dropped()
}

func (o *soakOthers) largeRegion(s *stranger) error {
	if err := s.announce(replyKey+1, 1<<46); err != nil {
		return err
	}
	return s.dropped()
}

// oldKey has its replies go where there was a region. Those that are under way as it is
// withdrawn may arrive.
func (o *soakOthers) oldKey(s *stranger) error {
	if err := s.call(); err != nil {
		return err
	}
	if err := s.withdraw(replyKey); err != nil {
		return err
	}
	for s.call() == nil {
		o.budget.wait()
		time.Sleep(time.Millisecond)
	}
	return s.dropped()
}

// promisedRegion has its replies go where there will be a region, it says. They wait, and
// nobody for them.
func (o *soakOthers) promisedRegion(s *stranger) error {
	s.promise(1_000_000)
	for range strangerCalls {
		if err := s.call(); err != nil {
			return err
		}
	}
	time.Sleep(stay)
	return nil
}

// deaf takes no replies, and goes on calling.
func (o *soakOthers) deaf(s *stranger) error {
	for i := range strangerSlots {
		if i%20 == 0 {
			o.budget.wait()
		}
		if err := s.call(); err != nil {
			break // dropped already
		}
	}
	return s.dropped()
}
