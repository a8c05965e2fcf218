package remote_test

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	_ "github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/faulty"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	"github.com/rfaas-go/rfaas/transport/remote"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// urls are the transports that the tests go over.
var urls = []string{"loopback:", "shm:", "softroce:"}

// over runs a test for each of them.
func over(t *testing.T, test func(t *testing.T, url string)) {
	t.Parallel()
	for _, url := range urls {
		t.Run(strings.TrimSuffix(url, ":"), func(t *testing.T) {
			t.Parallel()
			test(t, url)
		})
	}
}

// soon is a context that only a defect lets end.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// owner is the end whose memory it is.
type owner struct {
	dev      *transport.Device
	domain   *transport.ProtectionDomain
	queue    *transport.Queue // nothing ever completes
	region   *transport.Region
	listener *transport.Listener
}

func newOwner(t testing.TB, url string, size int, access transport.Access) *owner {
	o := &owner{}
	var err error
	o.dev, err = transport.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { o.dev.Close() })
	o.domain, err = o.dev.NewProtectionDomain()
	require.NoError(t, err)
	o.queue, err = o.dev.NewQueue(64)
	require.NoError(t, err)
	o.region, err = o.domain.Alloc(size, access)
	require.NoError(t, err)
	o.listener, err = transport.Listen("unix", filepath.Join(t.TempDir(), "owner"))
	require.NoError(t, err)
	t.Cleanup(func() { o.listener.Close() })
	return o
}

// all is the whole region.
func (o *owner) all() transport.RemoteSpan { return o.region.Remote(0, o.region.Len()) }

// connect makes a Memory on a device, and returns the owner's end, too.
func (o *owner) connect(t testing.TB, dev *transport.Device, cfg remote.Config) (*remote.Memory, *transport.Conn) {
	type result struct {
		conn *transport.Conn
		err  error
	}
	accepted := make(chan result, 1)
	go func() {
		r, err := o.listener.Accept(soon(t))
		if err != nil {
			accepted <- result{nil, err}
			return
		}
		conn, err := r.Accept(soon(t), transport.ConnConfig{Domain: o.domain, SendQueue: o.queue, RecvQueue: o.queue, SendDepth: 1, RecvDepth: 1})
		accepted <- result{conn, err}
	}()
	m, err := remote.Dial(soon(t), dev, "unix", o.listener.Addr().String(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	r := <-accepted
	require.NoError(t, r.err)
	return m, r.conn
}

// reach connects to a new owner's memory over a device of its own.
func reach(t testing.TB, url string, size int, cfg remote.Config) (*remote.Memory, *owner) {
	o := newOwner(t, url, size, transport.RemoteAll)
	dev, err := transport.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { dev.Close() })
	m, _ := o.connect(t, dev, cfg)
	return m, o
}

// goroutines counts those inside of memories. Tests that look are not parallel.
func goroutines() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "transport/remote.(*Memory)")
}
