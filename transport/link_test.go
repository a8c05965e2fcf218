package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/framing"
)

// socketPair is a Unix socket with both ends here.
func socketPair(t testing.TB) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	conns := make([]*net.UnixConn, 2)
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socket")
		c, err := net.FileConn(f)
		require.NoError(t, err)
		f.Close()
		conns[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	return conns[0], conns[1]
}

// token is a descriptor to be passed, of which it can be told when all copies
// are closed.
type token struct{ read, write *os.File }

func newToken(t testing.TB) token {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return token{r, w}
}

func (k token) fd() int { return int(k.write.Fd()) }

// requireClosed closes the token's own copy and checks that it was the last.
func (k token) requireClosed(t testing.TB) {
	t.Helper()
	require.NoError(t, k.write.Close())
	k.read.SetReadDeadline(time.Now().Add(patience))
	_, err := k.read.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err, "a passed descriptor is still open")
}

func TestLinkFrames(t *testing.T) {
	t.Parallel()
	ua, ub := socketPair(t)
	pa, pb := net.Pipe()
	for name, streams := range map[string][2]net.Conn{"unix": {ua, ub}, "pipe": {pa, pb}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newLink(streams[0]), newLink(streams[1])
			payloads := [][]byte{{}, {1}, bytes.Repeat([]byte{2}, 5000), bytes.Repeat([]byte{3}, framing.MaxBytes)}
			wrote := inBackground(func() {
				for _, p := range payloads {
					if a.write(framing.Control, p) != nil {
						return
					}
				}
				a.stream.Close()
			})
			for _, want := range payloads {
				kind, got, fds, err := b.read()
				require.NoError(t, err)
				require.Equal(t, framing.Control, kind)
				require.Empty(t, fds)
				require.True(t, bytes.Equal(want, got))
			}
			_, _, _, err := b.read()
			require.Equal(t, io.EOF, err)
			<-wrote
		})
	}
}

// frame encodes a frame as it ought not to be.
func frame(kind framing.Kind, fds, size int, payload string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(size))
	return append(append(b, byte(kind), byte(fds), 0, 0), payload...)
}

func TestLinkRefusesOtherProtocols(t *testing.T) {
	t.Parallel()
	for text, b := range map[string][]byte{
		"the peer does not speak this set-up protocol (frame of kind 47, 1195725856 bytes)": []byte("GET / HTTP/1.1\r\n"),
		"(frame of kind 0, 0 bytes)":                  frame(0, 0, 0, ""),
		"(frame of kind 8, 0 bytes)":                  frame(framing.Notice+1, 0, 0, ""),
		"(frame of kind 5, 1048577 bytes)":            frame(framing.Control, 0, framing.MaxBytes+1, ""),
		"(frame of kind 5, 1 bytes)":                  frame(framing.Control, MaxExchangeFDs+1, 1, ""),
		"the peer announced 2 descriptors, 0 arrived": frame(framing.Control, 2, 1, "x"),
		"unexpected EOF":                              frame(framing.Control, 0, 10, "short"),
		"malformed hello: not this protocol":          frame(framing.Hello, 0, 5, "hello"),
		"set-up frame of kind 6 where 1 was expected": frame(framing.Goodbye, 0, 0, ""),
		"connection refused by the peer: no way!":     frame(framing.Reject, 0, 13, string(Rejection{Reason: "no way!"}.encode())),
	} {
		a, b2 := net.Pipe()
		go func() { a.Write(b); a.Close() }()
		_, err := receive(newLink(b2))
		if strings.HasPrefix(text, "connection refused") {
			require.ErrorIs(t, err, ErrRejected)
		}
		require.ErrorContains(t, err, text)
	}
}

func TestLinkExchange(t *testing.T) {
	t.Parallel()
	sa, sb := socketPair(t)
	a, b := newLink(sa), newLink(sb)
	require.True(t, a.PassesFDs())
	tokens := make([]token, MaxExchangeFDs)
	var fds []int
	for i := range tokens {
		tokens[i] = newToken(t)
		fds = append(fds, tokens[i].fd())
	}
	big := bytes.Repeat([]byte("x"), MaxExchangeBytes) // more than a socket holds, both ways at once
	var fromA []byte
	var received []int
	var errB error
	done := inBackground(func() { fromA, received, errB = b.Exchange(big, nil) })
	fromB, none, err := a.Exchange(big, fds)
	<-done
	require.NoError(t, err)
	require.NoError(t, errB)
	require.Empty(t, none)
	require.True(t, bytes.Equal(big, fromA))
	require.True(t, bytes.Equal(big, fromB))
	require.Len(t, received, MaxExchangeFDs)
	unix.Write(received[3], []byte("3"))
	got := make([]byte, 1)
	_, err = tokens[3].read.Read(got)
	require.NoError(t, err)
	require.Equal(t, "3", string(got), "in order")
	closeFDs(received)
	for _, k := range tokens {
		k.requireClosed(t)
	}
}

func TestLinkExchangeLimits(t *testing.T) {
	t.Parallel()
	sa, _ := socketPair(t)
	_, _, err := newLink(sa).Exchange(make([]byte, MaxExchangeBytes+1), nil)
	require.ErrorIs(t, err, ErrOutOfRange)
	_, _, err = newLink(sa).Exchange(nil, make([]int, MaxExchangeFDs+1))
	require.ErrorIs(t, err, ErrOutOfRange)
	pa, _ := net.Pipe()
	_, _, err = newLink(pa).Exchange(nil, []int{0})
	require.ErrorIs(t, err, ErrNotSupported)
	require.ErrorContains(t, err, "descriptors pass over Unix sockets only")
}

// TestLinkExchangeRejected: the peer refuses while this end is writing more than
// it will ever read.
func TestLinkExchangeRejected(t *testing.T) {
	t.Parallel()
	sa, sb := socketPair(t)
	k := newToken(t)
	done := inBackground(func() { newLink(sb).reject(Rejection{Reason: "because"}) })
	_, _, err := newLink(sa).Exchange(make([]byte, MaxExchangeBytes), []int{k.fd()})
	require.ErrorIs(t, err, ErrRejected)
	require.ErrorContains(t, err, "because")
	<-done
	sa.Close()
	sb.Close()
	k.requireClosed(t)
}

func TestLinkRejectIsShort(t *testing.T) {
	t.Parallel()
	sa, sb := socketPair(t)
	newLink(sa).reject(Rejection{Reason: strings.Repeat("r", 5000)})
	_, _, err := newLink(sb).expect(framing.Hello)
	require.EqualError(t, err, "connection refused by the peer: "+strings.Repeat("r", maxReason))
}

// TestLinkSend: control messages arrive in order, each with its descriptor, and
// those that do not, because the link ends, leave none open.
func TestLinkSend(t *testing.T) {
	t.Parallel()
	sa, sb := socketPair(t)
	a, b := newLink(sa), newLink(sb)
	const messages = 500
	k := newToken(t)
	dup, err := unix.Dup(k.fd())
	require.NoError(t, err)
	passed := NewFile(dup) // one open file for all of them
	for i := range messages {
		var file *File
		if i%7 == 0 {
			file = passed
		}
		a.Send(binary.BigEndian.AppendUint32(nil, uint32(i)), file)
	}
	for i := range messages / 2 {
		kind, payload, fds, err := b.read()
		require.NoError(t, err)
		require.Equal(t, framing.Control, kind)
		require.EqualValues(t, i, binary.BigEndian.Uint32(payload))
		require.Len(t, fds, map[bool]int{true: 1}[i%7 == 0])
		closeFDs(fds)
	}
	a.close()
	a.close()
	a.Send([]byte("too late"), passed)
	passed.Release()
	for err := error(nil); err == nil; {
		var fds []int
		_, _, fds, err = b.read()
		closeFDs(fds)
	}
	closeFDs(b.in.fds)
	b.hangUp()
	k.requireClosed(t)
}

// A control message whose descriptor this process has no room for arrives without it, and
// what comes after it as it was sent. A set-up message does not.
func TestLinkLostDescriptors(t *testing.T) {
	t.Parallel()
	sa, sb := socketPair(t)
	k := newToken(t)
	b := newLink(sb)
	fds := make([]int, 100) // more than there is room for when control messages are read
	for i := range fds {
		fds[i] = k.fd()
	}
	for _, kind := range []framing.Kind{framing.Control, framing.Exchange} {
		_, _, err := sa.WriteMsgUnix(frame(kind, 1, 4, "lost"), unix.UnixRights(fds...), nil)
		require.NoError(t, err)
		_, _, err = sa.WriteMsgUnix(frame(framing.Control, 1, 4, "next"), unix.UnixRights(k.fd()), nil)
		require.NoError(t, err)
		_, payload, got, err := b.read()
		if kind == framing.Control {
			require.NoError(t, err)
			require.Equal(t, "lost", string(payload))
			require.Empty(t, got)
			_, payload, got, err = b.read()
			require.NoError(t, err)
			require.Equal(t, "next", string(payload))
			require.Len(t, got, 1)
			closeFDs(got)
		} else {
			require.ErrorContains(t, err, "ulimit -n")
		}
	}
	b.reject(Rejection{Reason: "done"})
	sa.Close()
	k.requireClosed(t)
}

// The connection of a peer that does not read its control messages ends before that
// costs much.
func TestLinkPeerDoesNotRead(t *testing.T) {
	t.Parallel()
	sa, _ := socketPair(t)
	a := newLink(sa)
	for range maxQueued + 10_000 { // some are under way
		a.Send(make([]byte, 64), nil)
	}
	require.ErrorContains(t, *a.broken.Load(), "does not read")
	a.hangUp()
}

// TestLinkDescriptorFlood: descriptors that belong to no frame.
func TestLinkDescriptorFlood(t *testing.T) {
	t.Parallel()
	sa, sb := socketPair(t)
	k := newToken(t)
	fds := make([]int, 10)
	for i := range fds {
		fds[i] = k.fd()
	}
	hello := frame(framing.Hello, 0, 1000, strings.Repeat("x", 1000))
	done := inBackground(func() {
		for _, c := range hello {
			if _, _, err := sa.WriteMsgUnix([]byte{c}, unix.UnixRights(fds...), nil); err != nil {
				return
			}
		}
	})
	l := newLink(sb)
	_, _, _, err := l.read()
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "the peer sends descriptors that belong to no frame")
	l.reject(Rejection{Reason: err.Error()})
	<-done
	sa.Close()
	k.requireClosed(t)
}

// FuzzLink plays a hostile peer, which sends bytes in pieces, with descriptors.
// Whatever it sends, reading ends, and no descriptor stays open.
func FuzzLink(f *testing.F) {
	hello := string(frame(framing.Hello, 0, 5, "hello"))
	f.Add([]byte(hello), []byte{})
	f.Add([]byte(hello+string(frame(framing.Control, 2, 3, "abc"))), []byte{5, 0, 8, 2})
	f.Add([]byte(strings.Repeat(string(frame(framing.Exchange, 16, 0, "")), 4)), []byte{8, 16, 8, 16, 8, 60, 8, 16})
	f.Fuzz(func(t *testing.T, data, pieces []byte) {
		sa, sb := socketPair(t)
		k := newToken(t)
		written := inBackground(func() {
			sendPieces(sa, data, pieces, k.fd())
			sa.Close()
		})
		l := newLink(sb)
		for {
			_, payload, fds, err := l.read()
			if err != nil {
				break
			}
			if len(payload) > framing.MaxBytes || len(fds) > MaxExchangeFDs {
				t.Fatalf("frame of %d bytes and %d descriptors", len(payload), len(fds))
			}
			closeFDs(fds)
		}
		if len(l.in.fds) > maxPendingFDs+64 {
			t.Fatalf("%d descriptors kept", len(l.in.fds))
		}
		l.reject(Rejection{Reason: "done"})
		<-written
		k.requireClosed(t)
	})
}

// sendPieces sends data in pieces, of which each has a length and a number of
// descriptors in pieces; then the rest.
func sendPieces(to *net.UnixConn, data, pieces []byte, fd int) {
	for len(pieces) >= 2 && len(data) > 0 {
		n := min(max(int(pieces[0]), 1), len(data))
		fds := make([]int, min(int(pieces[1]), 100))
		for i := range fds {
			fds[i] = fd
		}
		if _, _, err := to.WriteMsgUnix(data[:n], unix.UnixRights(fds...), nil); err != nil {
			return
		}
		data, pieces = data[n:], pieces[2:]
	}
	to.Write(data)
}

// What a provider sent as its last word arrives before the goodbye.
func TestLinkCloseSendsWhatIsQueued(t *testing.T) {
	t.Parallel()
	for range 50 {
		sa, sb := socketPair(t)
		a, b := newLink(sa), newLink(sb)
		const messages = 20
		for i := range messages {
			a.Send([]byte{byte(i)}, nil)
		}
		a.close()
		a.Send([]byte("too late"), nil)
		for i := range messages {
			kind, payload, _, err := b.read()
			require.NoError(t, err)
			require.Equal(t, framing.Control, kind)
			require.Equal(t, []byte{byte(i)}, payload)
		}
		kind, _, _, err := b.read()
		require.NoError(t, err)
		require.Equal(t, framing.Goodbye, kind)
	}
}

// A peer that reads nothing keeps close waiting for a bounded time only.
func TestLinkCloseGivesUp(t *testing.T) {
	t.Parallel()
	sa, _ := socketPair(t)
	a := newLink(sa)
	for range 10 {
		a.Send(make([]byte, framing.MaxBytes), nil)
	}
	closed := inBackground(a.close)
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("close waits for ever")
	}
}
