package provider

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

func TestDomain(t *testing.T) {
	t.Parallel()
	account := Account{Provider: "test"}
	d := NewDomain(&sync.Mutex{}, &account)
	add := func(access transport.Access) (transport.MR, uint64) {
		mem, free, err := pages.Map(64)
		require.NoError(t, err)
		mr, err := d.Add(mem, access, free)
		require.NoError(t, err)
		require.Equal(t, mem, mr.Bytes())
		return mr, pages.Address(mem)
	}
	a, at := add(transport.RemoteRead)
	b, _ := add(transport.RemoteAll)
	require.NotEqual(t, a.LKey(), b.LKey())
	require.NotEqual(t, a.RKey(), b.RKey())

	for range 2 { // the second time it is the one that was found last
		mem, err := d.Remote(a.RKey(), at+8, 56, transport.RemoteRead)
		require.NoError(t, err)
		require.Same(t, &a.Bytes()[8], &mem[0])
		require.Len(t, mem, 56)
		_, err = d.Remote(a.RKey(), at, 8, transport.RemoteWrite)
		require.ErrorContains(t, err, "grants remote-read, not remote-write")
		_, err = d.Remote(a.RKey(), at+8, 57, transport.RemoteRead)
		require.ErrorContains(t, err, "not within the region of 64 bytes")
	}
	require.EqualError(t, d.Close(), "test: protection domain closed with 2 regions open")
	for range 2 {
		a.Revoke()
	}
	_, err := d.Remote(a.RKey(), at, 8, transport.RemoteRead)
	require.ErrorContains(t, err, "names no region, or one that was closed")
	require.NoError(t, a.Close())
	b.Revoke()
	require.NoError(t, b.Close())
	require.NoError(t, d.Close())
	require.NoError(t, account.Err())
}

func TestWithin(t *testing.T) {
	t.Parallel()
	mem := make([]byte, 100)
	const base = 1 << 40
	for _, c := range []struct {
		addr, n uint64
		ok      bool
	}{
		{base, 0, true}, {base, 100, true}, {base + 100, 0, true}, {base + 99, 1, true},
		{base - 1, 1, false}, {base + 100, 1, false}, {base + 1, 100, false},
		{base + 101, 0, false}, {0, 1, false}, {^uint64(0), 2, false}, {base, 1<<32 - 1, false},
		{base, ^uint64(0), false}, {base + 1, ^uint64(0), false},
	} {
		got, ok := Within(mem, base, c.addr, c.n)
		require.Equal(t, c.ok, ok, "%d bytes at base%+d", c.n, int64(c.addr-base))
		if ok {
			require.Len(t, got, int(c.n))
		}
	}
}

func TestSpanAt(t *testing.T) {
	t.Parallel()
	s := SpanAt(1<<63+1, 1<<32-1, 1<<31)
	require.Equal(t, []any{uint64(1<<63 + 1), 1<<32 - 1, uint32(1 << 31)}, []any{s.Addr(), s.Len(), s.LKey()})
}
