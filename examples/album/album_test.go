package album

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

const patience = time.Minute

// site is two workers of one store, and an album of both.
type site struct {
	t         *testing.T
	device    *transport.Device
	store     Store
	addresses [2]string
	end       [2]func() // ends a worker in good order
	album     *Album
}

func newSite(t *testing.T, url string) *site {
	t.Helper()
	device, err := transport.Open(url)
	require.NoError(t, err)
	s := &site{t: t, device: device}
	dir := t.TempDir()
	for i := range s.end {
		s.addresses[i] = filepath.Join(dir, fmt.Sprint("worker-", i))
		s.start(i)
	}
	s.album, err = Open(t.Context(), device, "unix:"+s.addresses[0], "unix:"+s.addresses[1])
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.album.Close())
		for _, end := range s.end {
			end()
		}
		require.NoError(t, device.Close(), "nothing is left")
	})
	return s
}

// start starts a worker, at the address that it had before.
func (s *site) start(i int) {
	s.t.Helper()
	listener, err := transport.Listen("unix", s.addresses[i])
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.store.Serve(ctx, s.device, listener) }()
	s.end[i] = func() {
		cancel()
		require.NoError(s.t, <-served)
		require.NoError(s.t, listener.Close())
	}
}

// everywhere runs a test over shared memory, and over a network.
func everywhere(t *testing.T, test func(t *testing.T, s *site)) {
	t.Parallel()
	for _, url := range []string{"shm:", "softroce:"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			test(t, newSite(t, url))
		})
	}
}

// A thousand goroutines put photographs and get them, while a worker is ended in good order
// and another one takes its place: no call fails, and both have had their share.
func TestThousandCallers(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var callers sync.WaitGroup
		failed := make(chan error, 1000)
		for i := range 1000 {
			callers.Go(func() {
				name, photo := fmt.Sprint("photo ", i), bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 500)
				err := s.album.Put(ctx, name, photo)
				for range 10 {
					var got []byte
					if err == nil {
						got, err = s.album.Get(ctx, name)
					}
					if err == nil && !bytes.Equal(got, photo) {
						err = fmt.Errorf("another photograph than %q", name)
					}
				}
				if err != nil {
					failed <- err
				}
			})
		}
		s.end[0]()
		s.start(0)
		callers.Wait()
		close(failed)
		for err := range failed {
			require.NoError(t, err)
		}
		require.Zero(t, s.album.workers.Stats().Losses)
	})
}

// Calls are spread over both workers: each takes the next one when it is done, so their
// shares are those of the processors that they get.
func TestSpread(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		require.Eventually(t, func() bool {
			for _, l := range s.album.workers.Stats().Lanes {
				if l.Worker == "" {
					return false
				}
			}
			return true
		}, patience, time.Millisecond)
		require.NoError(t, s.album.Put(ctx, "x", make([]byte, 4<<20)))
		var callers sync.WaitGroup
		const goroutines, calls = 8, 200
		for range goroutines {
			callers.Go(func() {
				for range calls {
					s.album.Find(ctx, []byte("x"))
				}
			})
		}
		callers.Wait()
		lanes := s.album.workers.Stats().Lanes
		t.Logf("%d and %d calls", lanes[0].Calls, lanes[1].Calls)
		for _, l := range lanes {
			require.Greater(t, l.Calls, uint64(goroutines*calls/5))
		}
	})
}

// Large photographs, photographs that there are not, and callers who do not wait.
func TestAlbum(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		large := bytes.Repeat([]byte("0123456789"), 1<<20)
		require.NoError(t, s.album.Put(ctx, "large", large))
		got, err := s.album.Get(ctx, "large")
		require.NoError(t, err)
		require.True(t, bytes.Equal(large, got))
		_, err = s.album.Get(ctx, "another")
		require.ErrorIs(t, err, ErrNoPhoto)

		for i := range 100 { // so that it takes long to look through them
			s.store.names.Store(fmt.Sprint("copy ", i), large)
		}
		impatient, giveUp := context.WithTimeout(ctx, 10*time.Millisecond)
		defer giveUp()
		_, err = s.album.Find(impatient, []byte("no such thing"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancelled, giveUp := context.WithCancel(ctx)
		time.AfterFunc(10*time.Millisecond, giveUp)
		_, err = s.album.Find(cancelled, []byte("no such thing"))
		require.ErrorIs(t, err, context.Canceled)
		names, err := s.album.Find(ctx, []byte("90123"))
		require.NoError(t, err)
		require.Len(t, names, 101)
	})
}
