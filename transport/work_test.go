package transport

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSpanSlice(t *testing.T) {
	t.Parallel()
	s := Span{addr: 1000, len: 100, lkey: 7}
	require.Equal(t, Span{1010, 20, 7}, s.Slice(10, 20))
	require.Equal(t, Span{1100, 0, 7}, s.Slice(100, 0))
	require.Equal(t, 100, s.Len())
	for _, bad := range [][2]int{{-1, 1}, {0, -1}, {0, 101}, {100, 1}, {101, 0}, {math.MaxInt, 1}, {1, math.MaxInt}} {
		require.Panics(t, func() { s.Slice(bad[0], bad[1]) }, "%v", bad)
	}
}

func TestRemoteSpanSlice(t *testing.T) {
	t.Parallel()
	r := RemoteSpan{Addr: 1000, Len: 100, Key: 7}
	require.Equal(t, RemoteSpan{1010, 20, 7}, r.Slice(10, 20))
	require.Equal(t, RemoteSpan{1100, 0, 7}, r.Slice(100, 0))
	for _, bad := range [][2]int{{-1, 1}, {0, -1}, {0, 101}, {100, 1}, {101, 0}, {math.MaxInt, 1}, {1, math.MaxInt}} {
		require.Panics(t, func() { r.Slice(bad[0], bad[1]) }, "%v", bad)
	}
}

func TestRemoteSpanEncoding(t *testing.T) {
	t.Parallel()
	r := RemoteSpan{Addr: 0x0102030405060708, Len: 0x090a0b0c, Key: 0x0d0e0f10}
	b := r.AppendTo([]byte{0xff})
	require.Equal(t, []byte{0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, b)
	got, ok := DecodeRemoteSpan(append(b[1:], 99))
	require.True(t, ok)
	require.Equal(t, r, got)
	for n := range RemoteSpanBytes {
		_, ok := DecodeRemoteSpan(b[1:][:n])
		require.False(t, ok, "%d bytes", n)
	}
}

func FuzzRemoteSpan(f *testing.F) {
	f.Add(RemoteSpan{1, 2, 3}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, ok := DecodeRemoteSpan(b)
		if ok != (len(b) >= RemoteSpanBytes) {
			t.Fatalf("ok is %v for %d bytes", ok, len(b))
		}
		if ok && !bytes.Equal(r.AppendTo(nil), b[:RemoteSpanBytes]) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, r, r.AppendTo(nil))
		}
	})
}

// TestSecondSpan: the second span shares its place with an atomic's operands.
func TestSecondSpan(t *testing.T) {
	t.Parallel()
	first, second := Span{1, 2, 3}, Span{math.MaxUint64, math.MaxUint32, math.MaxUint32 - 1}
	w := Write(9, first, RemoteSpan{}).WithSecondSpan(second)
	require.Equal(t, second, w.SecondSpan())
	require.EqualValues(t, 2+math.MaxUint32, w.Bytes())
	a := CompareSwap(9, first, RemoteSpan{}, 5, 6)
	require.Zero(t, a.SecondSpan())
	require.EqualValues(t, 2, a.Bytes())
	require.EqualValues(t, []uint64{5, 6}, []uint64{a.Compare(), a.Swap()})
}

func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		OpCompareSwap.String():                                "compare-swap",
		opCount.String():                                      "op(9)",
		LocalOnly.String():                                    "local-only",
		(RemoteRead | RemoteAtomic).String():                  "remote-read,remote-atomic",
		(RemoteWrite | 1<<6).String():                         "remote-write,access(0x40)",
		(FeatureRegister | FeatureUnixSocket).String():        "register,unix-socket",
		StatusRNRRetryExceeded.String():                       "receiver-not-ready retries exhausted",
		statusCount.String():                                  "status(11)",
		ScopeDevice.String():                                  "device",
		Scope(9).String():                                     "scope(9)",
		Peer{}.String():                                       "peer",
		Peer{Credentials: &Credentials{PID: 5}}.String():      "process 5",
		(&StatusError{OpSend, 3, StatusFatal, 2}).Error():     "transport: send (request 3): fatal error: the device failed (vendor code 0x2)",
		(&OpError{"open", "shm", 0, ErrNotSupported}).Error(): "transport: shm: open: not supported",
	} {
		require.Equal(t, want, got)
	}
	require.Len(t, featureNames, 8, "a name for each feature")
	for s := range statusCount {
		require.NotEmpty(t, s.String())
		require.Equal(t, s == StatusOK, s.Hint() == "", "%v", s)
	}
	require.Empty(t, statusCount.Hint())
	require.NoError(t, (&Completion{}).Err())
	require.Error(t, (&Completion{Status: StatusFlushed}).Err())
}
