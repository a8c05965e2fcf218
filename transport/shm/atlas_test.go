package shm

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// announce has the peer announce a region of size bytes, whose memory is not mapped.
func announce(t *testing.T, a *atlas, m announcement) error {
	t.Helper()
	fd, err := unix.MemfdCreate("announced", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	require.NoError(t, err)
	require.NoError(t, unix.Ftruncate(fd, int64(m.size+uint64(pageSize)+uint64(pageSize)-1)&^int64(pageSize-1)))
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
	require.NoError(t, err)
	err = a.add(m, fd)
	_, open := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.ErrorIs(t, open, unix.EBADF, "the descriptor is closed")
	return err
}

// A random walk against a plain map, with keys that meet in the table.
func TestAtlasAgainstMap(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var a atlas
	defer a.unmap()
	model := map[uint32]uint64{}
	var bytes uint64
	for range 5000 {
		key := 1 + r.Uint32N(300)<<r.UintN(2)*16
		switch size, there := model[key]; {
		case there:
			got := a.get(key)
			require.Equal(t, size, got.size)
			require.NotNil(t, got.lost)
			require.Same(t, got, a.remove(key))
			require.True(t, got.gone.Load())
			delete(model, key)
			bytes -= size
		default:
			require.Nil(t, a.get(key))
			require.Nil(t, a.remove(key))
			size = 1 + r.Uint64N(100)
			require.NoError(t, a.add(announcement{key: key, size: size}, -1))
			model[key] = size
			bytes += size
		}
		require.Equal(t, len(model), a.count)
		require.Equal(t, bytes, a.bytes)
	}
	for key, size := range model {
		require.Equal(t, size, a.get(key).size)
	}
	require.LessOrEqual(t, len(*a.table.Load()), 4096, "keys of regions that are gone do not pile up")
}

// What a peer announces has limits, and what was announced is not announced again: each
// would be one more mapping.
func TestAnnouncementsAreBounded(t *testing.T) {
	t.Parallel()
	var a atlas
	defer a.unmap()
	require.NoError(t, announce(t, &a, announcement{key: 5, size: 4096}))
	first := a.get(5)
	require.ErrorContains(t, announce(t, &a, announcement{key: 5, size: 4096}), "0x5 is announced twice")
	require.Same(t, first, a.get(5))
	require.ErrorContains(t, announce(t, &a, announcement{key: 6, size: maxRegionBytes}), "beside 1 of 4096")
	require.NoError(t, announce(t, &a, announcement{key: 6, size: maxRegionBytes - 4096 - 1<<20}), "little of it is ever touched")
	require.ErrorIs(t, announce(t, &a, announcement{key: 0, size: 1}), errMalformed)
	require.ErrorIs(t, announce(t, &a, announcement{key: 7, size: 0}), errMalformed)
	for key := uint32(100); a.count < maxRegions; key++ {
		require.NoError(t, a.add(announcement{key: key, size: 1}, -1))
	}
	require.ErrorContains(t, announce(t, &a, announcement{key: 8, size: 1}), "beside 16384")
	a.remove(100)
	require.NoError(t, announce(t, &a, announcement{key: 8, size: 1}))
	require.EqualValues(t, maxRegions-2+8, a.seen.Load(), "refused ones were looked at, too")
}

// However many peers announce however much: a process has mappings left for itself. What
// is too much is not mapped; only requests to it fail.
func TestMappingsAreBounded(t *testing.T) {
	t.Parallel()
	var b budget
	for range maxMapped() {
		require.NoError(t, b.take(1))
	}
	require.ErrorContains(t, b.take(1), "half of vm.max_map_count")
	b.give(1)
	require.NoError(t, b.take(1))
	require.Error(t, new(budget).take(maxMappedBytes+1))
}

// A region that could not be mapped here is lost, and the connection is not, before
// somebody uses it.
func TestLostRegion(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	mr := h.alloc(t, 64)
	h.half.announced.Store(1)
	h.Message(announcement{uint32(early.Key), transport.RemoteAll, early.Addr, 64}.encode(), nil)
	h.post(t, transport.Send(1, transport.Span{}))
	require.Empty(t, h.failed)
	h.half.acked.Store(1)
	h.post(t, transport.Read(7, provider.SpanAt(pages.Address(mr.Bytes()), 64, mr.LKey()), early))
	require.ErrorContains(t, <-h.failed, "could not be mapped here: its descriptor did not arrive: too many files")
}

// A domain has no more regions than its peers take.
func TestRegionsOfADomain(t *testing.T) {
	t.Parallel()
	d := newHostile(t).domain
	d.count = maxRegions
	_, err := d.Alloc(1, transport.LocalOnly)
	require.ErrorIs(t, err, transport.ErrOutOfRange)
	require.ErrorContains(t, err, "at most 16384 regions")
	d.count = 0
}
