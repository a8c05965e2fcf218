package invoke_test

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/verbs"
)

// deviceCloses is how many devices are closed in the middle of calls, each end of
// each provider's.
var deviceCloses = flag.Int("device-closes", 4, "rounds of TestDeviceClosedDuringCalls")

// touching is a function that touches all its memory, over and over, until it is
// told to end, and once more.
func touching(entered chan<- struct{}) invoke.Function {
	return func(ctx context.Context, in, out []byte) (int, error) {
		for last := false; ; {
			copy(out, in)
			select {
			case entered <- struct{}{}:
			default:
			}
			if last || len(in) > 0 && in[0] == 0 {
				return min(len(in), len(out)), nil
			}
			last = ctx.Err() != nil
		}
	}
}

// twoDevices is a worker and a client, each with a device of its own.
type twoDevices struct {
	worker, client *transport.Device
	served         chan error
	c              *invoke.Client
	entered        chan struct{}
	listener       *transport.Listener
}

func newTwoDevices(t *testing.T, url string) *twoDevices {
	t.Helper()
	d := &twoDevices{served: make(chan error, 1), entered: make(chan struct{}, 1)}
	var err error
	d.worker, err = transport.Open(url)
	require.NoError(t, err)
	d.client, err = transport.Open(url)
	require.NoError(t, err)
	registry := invoke.NewRegistry()
	require.NoError(t, registry.Register("touching", touching(d.entered)))
	worker, err := invoke.NewWorker(d.worker, registry, invoke.WorkerConfig{})
	require.NoError(t, err)
	d.listener, err = transport.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	go func() { d.served <- worker.Serve(context.Background(), d.listener) }()
	d.c, err = invoke.Dial(soon(t), d.client, "unix", d.listener.Addr().String(), invoke.ClientConfig{})
	require.NoError(t, err)
	return d
}

// end closes what is left, and demands that nothing is.
func (d *twoDevices) end(t *testing.T) {
	t.Helper()
	require.NoError(t, d.c.Close())
	require.NoError(t, d.worker.Close())
	require.NoError(t, d.client.Close())
	require.NoError(t, d.listener.Close())
	receive(t, d.served)
	for _, dev := range []*transport.Device{d.worker, d.client} {
		eventually(t, "the device to be empty", func() bool { return len(dev.Inventory()) == 0 })
	}
}

// A device can be closed from anywhere at any time: a function that runs, and who
// calls it, keep the memory that they have until they are done with it.
func TestDeviceClosedDuringCalls(t *testing.T) {
	t.Parallel()
	urls := []string{"loopback:", "shm:", "softroce:"}
	if device := os.Getenv("RXE_DEVICE"); device != "" { // see ci/rxe/run
		urls = append(urls, "verbs://"+device)
	}
	for _, url := range urls {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			closeDuringCalls(t, url)
		})
	}
}

func closeDuringCalls(t *testing.T, url string) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range *deviceCloses {
		for _, end := range []string{"worker", "client"} {
			d := newTwoDevices(t, url)
			size := []int{1 << 10, 3 << 20}[round%2] // in the slot, and beyond it
			f := find(t, d.c, "touching")
			buffer, err := d.c.NewBuffer(size, size)
			require.NoError(t, err)
			called := make(chan error, 1)
			go func() {
				in, out := make([]byte, size), make([]byte, size)
				for turn := 0; ; turn++ {
					in[0], buffer.In()[0] = byte(turn%2), byte(turn%2)
					if _, err := d.c.Call(soon(t), f, in, out); err != nil {
						called <- err
						break
					}
					if result, err := buffer.Call(soon(t), f, size); err == nil {
						copy(out, result)
					}
				}
				for i := range buffer.In() { // the program does not know yet
					buffer.In()[i] = 1
				}
				close(called)
			}()
			receive(t, d.entered)
			for range random.IntN(2000) {
				runtime.Gosched()
			}
			if end == "worker" {
				require.NoError(t, d.worker.Close())
				require.ErrorIs(t, receive(t, d.served), transport.ErrClosed)
				d.served <- nil
			} else {
				require.NoError(t, d.client.Close())
			}
			require.ErrorIs(t, receive(t, called), invoke.ErrWorkerGone)
			receive(t, called)
			d.end(t)
		}
	}
}
