package remote_test

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/remote"
)

// Many goroutines write and read at random places, each in a part of its own, of
// which it knows what is there; and all of them count in one word, and under a lock.
func TestAgainstModel(t *testing.T) {
	over(t, func(t *testing.T, url string) {
		const each, goroutines, rounds = 2000, 8, 60
		m, o := reach(t, url, 16+goroutines*each, remote.Config{Buffers: 6, BufferBytes: 256})
		seed := rand.Uint64()
		t.Log("seed", seed)
		lock, counter := o.region.Remote(0, 8), o.region.Remote(8, 8)
		var all sync.WaitGroup
		for g := range goroutines {
			all.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(g)))
				span, model := o.region.Remote(16+g*each, each), make([]byte, each)
				for range rounds {
					at := random.IntN(each)
					n := random.IntN(each - at)
					part, buf := span.Slice(at, n), make([]byte, n)
					if random.IntN(2) == 0 {
						for i := range buf {
							buf[i] = byte(random.Uint32())
						}
						copy(model[at:], buf)
						if err := m.Write(soon(t), part, buf); err != nil {
							t.Error(err)
							return
						}
						clear(buf) // it is the caller's again
						continue
					}
					if err := m.Read(soon(t), buf, part); err != nil || !bytes.Equal(buf, model[at:][:n]) {
						t.Errorf("%d bytes at %d: %v, or other bytes", n, at, err)
						return
					}
				}
				if err := countUnderLock(t, m, lock, counter, uint64(g+1)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, goroutines*lockRounds, o.region.Uint64(8).Load())
		require.Zero(t, o.region.Uint64(0).Load())
	})
}

const lockRounds = 5

// countUnderLock adds to the counter by reading and writing, which the lock makes
// safe.
func countUnderLock(t *testing.T, m *remote.Memory, lock, counter transport.RemoteSpan, name uint64) error {
	ctx := soon(t)
	for range lockRounds {
		for {
			was, err := m.CompareSwap(ctx, lock, 0, name)
			if err != nil {
				return err
			}
			if was == 0 {
				break
			}
		}
		word := make([]byte, 8)
		if err := m.Read(ctx, word, counter); err != nil {
			return err
		}
		word[0]++
		if err := m.Write(ctx, counter, word); err != nil {
			return err
		}
		if was, err := m.CompareSwap(ctx, lock, name, 0); err != nil || was != name {
			t.Errorf("%d has the lock, and finds %d", name, was)
			return err
		}
	}
	return nil
}

func TestFetchAdd(t *testing.T) {
	over(t, func(t *testing.T, url string) {
		m, o := reach(t, url, 8, remote.Config{Buffers: 3})
		const goroutines, each = 6, 50
		var mu sync.Mutex
		seen := map[uint64]bool{}
		var all sync.WaitGroup
		for range goroutines {
			all.Go(func() {
				for range each {
					was, err := m.FetchAdd(soon(t), o.all(), 1)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					seen[was] = true
					mu.Unlock()
				}
			})
		}
		all.Wait()
		require.Len(t, seen, goroutines*each, "each sees another value")
		require.EqualValues(t, goroutines*each, o.region.Uint64(0).Load())
	})
}

// Every size and place around the size of a buffer, with guards beside.
func TestPieces(t *testing.T) {
	over(t, func(t *testing.T, url string) {
		const size = 200
		m, o := reach(t, url, size, remote.Config{Buffers: 2, BufferBytes: 17}) // which is 16
		want := make([]byte, size)
		for n := range 70 {
			for at := 20; at < 29; at++ {
				payload := bytes.Repeat([]byte{byte(n + 1)}, n)
				copy(want[at:], payload)
				require.NoError(t, m.Write(soon(t), o.region.Remote(at, n), payload))
				got := make([]byte, n)
				require.NoError(t, m.Read(soon(t), got, o.region.Remote(at, size-at)))
				require.Equal(t, payload, got)
			}
		}
		got := make([]byte, size)
		require.NoError(t, m.Read(soon(t), got, o.all()))
		require.Equal(t, want, got)
	})
}

// Requests that a device refuses with ErrQueueFull, and completions that come late,
// are not the caller's business.
func TestQueueFull(t *testing.T) {
	t.Parallel()
	o := newOwner(t, "loopback:", 4096, transport.RemoteAll)
	dev, err := transport.Open("faulty+loopback:?seed=3&queue-full=0.3&hold=0.3&wake=0.3")
	require.NoError(t, err)
	t.Cleanup(func() { dev.Close() })
	m, _ := o.connect(t, dev, remote.Config{BufferBytes: 64, Buffers: 5})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			buf := make([]byte, 1000)
			for range 20 {
				if err := m.Write(soon(t), o.region.Remote(g*1024, 1000), buf); err != nil {
					t.Error(err)
				}
				if _, err := m.FetchAdd(soon(t), o.region.Remote(1016, 8), 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 80, o.region.Uint64(1016).Load())
}

func TestNothing(t *testing.T) {
	t.Parallel()
	m, _ := reach(t, "loopback:", 8, remote.Config{})
	require.NoError(t, m.Read(soon(t), nil, transport.RemoteSpan{}))
	require.NoError(t, m.Write(soon(t), transport.RemoteSpan{}, nil))
}

func TestConfig(t *testing.T) {
	t.Parallel()
	dev, err := transport.Open("loopback:")
	require.NoError(t, err)
	defer dev.Close()
	for _, cfg := range []remote.Config{{Buffers: -1}, {Buffers: 1 << 30}, {BufferBytes: 7}, {BufferBytes: -1}, {Spin: -1}} {
		_, err := remote.New(dev, cfg, func(transport.ConnConfig) (*transport.Conn, error) {
			t.Error("connected")
			return nil, nil
		})
		require.Error(t, err)
	}
	_, err = remote.New(dev, remote.Config{}, func(transport.ConnConfig) (*transport.Conn, error) { return nil, transport.ErrPeerGone })
	require.ErrorIs(t, err, transport.ErrPeerGone)
	require.Empty(t, dev.Inventory(), "what was made is given back")
}

// The program's own protection domain stays, with what the peer may use of it.
func TestDomain(t *testing.T) {
	t.Parallel()
	o := newOwner(t, "loopback:", 64, transport.RemoteAll)
	dev, err := transport.Open("loopback:")
	require.NoError(t, err)
	defer dev.Close()
	domain, err := dev.NewProtectionDomain()
	require.NoError(t, err)
	m, _ := o.connect(t, dev, remote.Config{Domain: domain})
	require.NoError(t, m.Close())
	require.Len(t, dev.Inventory(), 1)
	require.NoError(t, domain.Close())
}

// Without contention nothing is allocated.
func TestAllocations(t *testing.T) {
	if effort.Race() {
		t.Skip("the race detector allocates")
	}
	for _, url := range []string{"loopback:", "shm:"} {
		m, o := reach(t, url, 4096, remote.Config{BufferBytes: 1024})
		ctx, buf := soon(t), make([]byte, 4000)
		for what, call := range map[string]func() error{
			"read":      func() error { return m.Read(ctx, buf, o.all()) },
			"write":     func() error { return m.Write(ctx, o.all(), buf) },
			"fetch-add": func() error { _, err := m.FetchAdd(ctx, o.all(), 1); return err },
		} {
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if err := call(); err != nil {
					t.Error(err)
				}
			}), "%s over %s", what, url)
		}
	}
}
