package invoke

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// The bytes on the wire, written down independently of the encoder.
func TestRequestHeaderLayout(t *testing.T) {
	t.Parallel()
	h := requestHeader{
		id: 0x1122334455667788, function: 0xA1B2C3, bytes: 0x0D0E0F,
		timeout: 0x0102030405,
		reply:   transport.RemoteSpan{Addr: 0xFEDCBA9876543210, Key: 0xCAFEF00D, Len: 0x10000 + headerBytes},
	}
	var b [headerBytes]byte
	putRequest(&b, h.id, h.function, h.bytes, h.timeout, h.reply)
	require.Equal(t, "8877665544332211"+"c3b2a100"+"0f0e0d00"+"0504030201000000"+
		"1032547698badcfe"+"0df0feca"+"00000100"+strings.Repeat("00", 24), hex.EncodeToString(b[:]))
	require.Equal(t, h, decodeRequest(&b))

	h.rendezvous, h.source = true, transport.RemoteSpan{Addr: 0x1020304050607080, Key: 0xAABBCCDD, Len: h.bytes}
	putSource(&b, h.source)
	require.Equal(t, "8070605040302010"+"ddccbbaa"+"01000000"+strings.Repeat("00", 8), hex.EncodeToString(b[40:]))
	require.Equal(t, h, decodeRequest(&b))
	putSource(&b, transport.RemoteSpan{})
	require.Equal(t, strings.Repeat("00", 24), hex.EncodeToString(b[40:]))
	putOffer(&b)
	require.Equal(t, "00000000"+"00010000", hex.EncodeToString(b[48:56]))
	require.True(t, decodeRequest(&b).offer)
	takeOffer(&b)
	require.Equal(t, strings.Repeat("00", 24), hex.EncodeToString(b[40:]))
}

func TestReplyHeaderLayout(t *testing.T) {
	t.Parallel()
	h := replyHeader{id: 0x1122334455667788, status: StatusTooLarge, entered: true, bytes: 0x01020304, execution: 0x0A0B0C, queue: 0x0D0E}
	var b [headerBytes]byte
	h.encode(&b)
	require.Equal(t, "8877665544332211"+"04010000"+"04030201"+"0c0b0a0000000000"+"0e0d000000000000"+strings.Repeat("00", 32), hex.EncodeToString(b[:]))
	require.Equal(t, h, decodeReply(&b))
	h.source = transport.RemoteSpan{Addr: 0x1020304050607080, Key: 0xAABBCCDD}
	h.encode(&b)
	require.Equal(t, "ddccbbaa"+"8070605040302010"+strings.Repeat("00", 16), hex.EncodeToString(b[36:]))
	require.Equal(t, h, decodeReply(&b))
}

func TestImmediateData(t *testing.T) {
	t.Parallel()
	for _, slot := range []uint32{0, 1, maxSlots - 1} {
		for _, kind := range []requestKind{kindPlain, kindFull, kindCancel} {
			for _, function := range []uint32{0, 1, maxFunctions - 1} {
				s, k, f := decodeRequestImm(requestImm(slot, kind, function))
				require.Equal(t, []any{slot, kind, function}, []any{s, k, f})
			}
		}
		for status := range statusCount {
			s, st, tag := decodeReplyImm(replyImm(slot, status, 0xFFFFFFFFFFFF1234))
			require.Equal(t, []any{slot, status, uint16(0x1234)}, []any{s, st, tag})
		}
	}
	require.LessOrEqual(t, uint(statusCount), uint(1)<<immStatusBits)
	require.Equal(t, 32, immSlotBits+immKindBits+immFunctionBits)
	require.Equal(t, 32, immSlotBits+immStatusBits+immTagBits)
}

// FuzzRequestHeader: whatever a peer writes, what is decoded is within bounds,
// and what was decoded encodes to the same again.
func FuzzRequestHeader(f *testing.F) {
	f.Add(make([]byte, headerBytes))
	f.Add(bytes.Repeat([]byte{0xFF}, headerBytes))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b, again [headerBytes]byte
		copy(b[:], data)
		h := decodeRequest(&b)
		if h.timeout < 0 || h.timeout > maxTimeout {
			t.Fatalf("timeout %d", h.timeout)
		}
		if h.reply.Len < headerBytes || h.reply.Len > headerBytes+MaxPayloadBytes {
			t.Fatalf("reply span of %d bytes", h.reply.Len)
		}
		putRequest(&again, h.id, h.function, h.bytes, h.timeout, h.reply)
		putMetadataBytes(&again, h.metadata)
		if h.offer {
			putOffer(&again)
		}
		if putSource(&again, h.source); h.rendezvous && h.bytes == 0 {
			return // nothing is not away
		}
		if diff := cmp.Diff(h, decodeRequest(&again), cmp.AllowUnexported(requestHeader{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzMetadata: what is decoded encodes to the same bytes again.
func FuzzMetadata(f *testing.F) {
	for _, m := range []Metadata{{}, {"a": "", "b": "c"}, {"k": strings.Repeat("v", 300)}} {
		b := make([]byte, 400)
		n, _ := m.encodedBytes()
		m.appendTo(b[:0])
		f.Add(b[:n])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeMetadata(data)
		if err != nil {
			return
		}
		n, err := m.encodedBytes()
		if err != nil || n != len(data) {
			t.Fatalf("%d bytes became %d: %v", len(data), n, err)
		}
		again := make([]byte, n)
		if m.appendTo(again[:0]); !bytes.Equal(again, data) {
			t.Fatalf("%x became %x", data, again)
		}
	})
}

func FuzzReplyHeader(f *testing.F) {
	f.Add(make([]byte, headerBytes))
	f.Add(bytes.Repeat([]byte{0xFF}, headerBytes))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b, again [headerBytes]byte
		copy(b[:], data)
		h := decodeReply(&b)
		if h.execution < 0 || h.queue < 0 || h.execution > maxTimeout || h.queue > maxTimeout {
			t.Fatalf("%+v", h)
		}
		h.encode(&again)
		if diff := cmp.Diff(h, decodeReply(&again), cmp.AllowUnexported(replyHeader{})); diff != "" {
			t.Fatal(diff)
		}
		_ = h.status.String()
	})
}

func TestHello(t *testing.T) {
	t.Parallel()
	h := hello{
		version: Version, layout: layout{slots: 17, slotBytes: 1 << 20}, firstID: 1<<40 + 1,
		region: transport.RemoteSpan{Addr: 1 << 45, Len: 64, Key: 77}, rendezvousBytes: 5 << 32, token: []byte("lease 3"),
	}
	got, err := decodeHello(h.encode())
	require.NoError(t, err)
	require.Equal(t, h, got)

	h.token = make([]byte, MaxTokenBytes)
	require.Len(t, h.encode(), transport.MaxPrivateData)
	_, err = decodeHello(h.encode())
	require.NoError(t, err)

	h.version = Version + 1
	_, err = decodeHello(h.encode())
	require.ErrorIs(t, err, ErrVersionMismatch)
	require.ErrorContains(t, err, fmt.Sprintf("this end version %d", Version))
	_, err = decodeHello(h.encode()[:6])
	require.ErrorIs(t, err, ErrVersionMismatch, "the version is understood whatever follows")

	h.version = Version
	for _, odd := range []layout{{0, 1024}, {maxSlots + 1, 1024}, {1, minSlotBytes - 1}, {1, maxSlotBytes + 1}} {
		h.layout = odd
		_, err = decodeHello(h.encode())
		require.ErrorContains(t, err, "slots")
	}
	for _, b := range [][]byte{nil, []byte("GET / HTTP/1.1\r\n"), h.encode()[:len(h.encode())-1], append(h.encode(), 0)} {
		_, err = decodeHello(b)
		require.Error(t, err)
	}
}

func FuzzHello(f *testing.F) {
	h := hello{version: Version, layout: layout{16, 65536}, token: []byte("token")}
	f.Add(h.encode())
	f.Add([]byte("rfiv\x02\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := decodeHello(data)
		if err != nil {
			return
		}
		if !bytes.Equal(h.encode(), data) {
			t.Fatalf("%x is not what %+v encodes to", data, h)
		}
	})
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	busy := &Error{Status: StatusBusy, Message: "full up"}
	told := func(r transport.Rejection) error { // what the transport makes of it on the other side
		return &transport.OpError{Op: "connect", Provider: "loopback", Err: &transport.RejectedError{Rejection: r}}
	}
	err := refused(told(refusal(busy)))
	require.ErrorIs(t, err, ErrBusy)
	require.ErrorIs(t, err, transport.ErrRejected)
	require.ErrorContains(t, err, "full up")
	for _, r := range []transport.Rejection{refusal(errors.New("no status")), {Code: uint32(statusCount), Reason: "no status"}} {
		err := told(r)
		require.ErrorIs(t, refused(err), err)
		require.ErrorContains(t, refused(err), "no status")
		require.NotErrorAs(t, refused(err), new(*Error))
	}
	own := &Error{Status: StatusVersionMismatch}
	require.Equal(t, error(own), refused(&wrapped{"at this end", own}))
}

type wrapped struct {
	text  string
	cause error
}

func (w *wrapped) Error() string { return w.cause.Error() + ": " + w.text }
func (w *wrapped) Unwrap() error { return w.cause }

func TestLayout(t *testing.T) {
	t.Parallel()
	caps := transport.Capabilities{MaxMessageBytes: 1 << 20, MaxSendDepth: 1 << 10, MaxRecvDepth: 1 << 10}
	l, err := layout{}.withDefaults(caps)
	require.NoError(t, err)
	require.Equal(t, layout{defaultSlots, defaultSlotBytes}, l)
	for _, bad := range []layout{{-1, 0}, {1 << 9, 0}, {0, 1}, {0, 1 << 20}, {0, -5}} {
		_, err := bad.withDefaults(caps)
		require.ErrorContains(t, err, "are possible here", "%v", bad)
	}
	far := layout{100, maxSlotBytes}.remote(transport.RemoteSpan{Addr: 1 << 20, Len: 64, Key: 5}, 99)
	require.Equal(t, transport.RemoteSpan{Addr: 1<<20 + 99*(maxSlotBytes+headerBytes), Len: maxSlotBytes + headerBytes, Key: 5}, far, "slots beyond 4 GiB")
	mem := make([]byte, layout{3, 100}.bytes())
	for i := range 3 {
		header, payload := layout{3, 100}.at(mem, i)
		header[0] = byte(i + 1)
		payload[99] = byte(i + 11)
		require.Equal(t, 100, cap(payload), "a function cannot reach the next slot")
	}
	require.Equal(t, []byte{1, 2, 3, 11, 12, 13}, []byte{mem[0], mem[192], mem[384], mem[163], mem[355], mem[547]})
}

func TestTicks(t *testing.T) {
	t.Parallel()
	tick := calibrated()
	outer := time.Now()
	first := ticks()
	inner := time.Now()
	for time.Since(inner) < 20*time.Millisecond {
	}
	least := time.Since(inner)
	counted := time.Duration(tick.ns(ticks() - first))
	most := time.Since(outer)
	require.GreaterOrEqual(t, counted, least-least/1000)
	require.LessOrEqual(t, counted, most+most/1000)
	require.Zero(t, tick.ns(-5))
	year := tickLength(1 << tickShift / 3).ns(int64(3 * maxTimeout))
	require.InEpsilon(t, int64(maxTimeout), year, 1e-9, "a long time does not overflow")
}
