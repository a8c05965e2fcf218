package transport

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHello(t *testing.T) {
	t.Parallel()
	for _, h := range []hello{
		{},
		{wire: "shm/1", device: "trace+shm", private: []byte("hi")},
		{wire: strings.Repeat("w", maxName), device: strings.Repeat("d", maxName), private: make([]byte, MaxPrivateData)},
	} {
		got, err := decodeHello(h.encode())
		require.NoError(t, err)
		require.Equal(t, h.wire, got.wire)
		require.Equal(t, h.device, got.device)
		require.Equal(t, string(h.private), string(got.private))
	}
	long, err := decodeHello(hello{device: strings.Repeat("x", 1000)}.encode())
	require.NoError(t, err)
	require.Len(t, long.device, maxName)
}

func TestMalformedHello(t *testing.T) {
	t.Parallel()
	good := hello{wire: "shm/1", device: "shm", private: []byte("private")}.encode()
	for n := range good {
		_, err := decodeHello(good[:n])
		require.ErrorIs(t, err, ErrInvalid, "%d bytes", n)
	}
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = to
		return b
	}
	for text, b := range map[string][]byte{
		"malformed hello: not this protocol": change(0, 'R'),
		"the peer speaks version 1 of the set-up protocol, this end 2; use one release on both ends": change(5, 1),
		"malformed hello: names cut short":     change(6, 200),
		"malformed hello: names not printable": change(8, '\n'),
		"malformed hello: private data":        append(change(0, 'r'), 0),
	} {
		_, err := decodeHello(b)
		require.ErrorContains(t, err, text)
	}
	_, err := decodeHello(change(5, 1))
	require.ErrorIs(t, err, ErrNotSupported)
	_, err = decodeHello(hello{private: make([]byte, MaxPrivateData+1)}.encode())
	require.ErrorContains(t, err, "malformed hello: private data")
}

func FuzzHello(f *testing.F) {
	f.Add([]byte{})
	f.Add(hello{wire: "shm/1", device: "shm", private: []byte("private")}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHello(b)
		if err != nil {
			return
		}
		if again := h.encode(); string(again) != string(b) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, h, again)
		}
	})
}
