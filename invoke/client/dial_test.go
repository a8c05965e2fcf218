package client_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/transport"
)

// serve has a worker of the site at an address, until it is ended.
func (s *site) serve(network, address string) (at string, end func()) {
	worker, err := invoke.NewWorker(s.dev, s.registry, s.config)
	require.NoError(s.t, err)
	listener, err := transport.Listen(network, address)
	require.NoError(s.t, err)
	served := make(chan struct{})
	go func() { worker.Serve(context.Background(), listener); close(served) }()
	end = func() {
		worker.Close()
		<-served
		listener.Close()
	}
	s.t.Cleanup(end)
	return network + ":" + listener.Addr().String(), end
}

func TestDial(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	socket, end := s.serve("unix", filepath.Join(t.TempDir(), "one"))
	tcp, _ := s.serve("tcp", "127.0.0.1:0")
	missing := "unix:" + filepath.Join(t.TempDir(), "nobody")
	cl, err := client.Dial(soon(t), s.dev, socket, tcp, missing)
	require.NoError(t, err)
	eventually(t, "both workers", func() bool { return cl.Stats().Up == 2 })
	out := make([]byte, 10)
	n, err := cl.Call(soon(t), "echo", []byte("hello"), out)
	require.NoError(t, err)
	require.Equal(t, "hello", string(out[:n]))
	end()
	for range 10 {
		_, err = cl.Call(soon(t), "echo", nil, nil)
		require.NoError(t, err, "there is another worker")
	}
	s.serve("unix", missing[len("unix:"):])
	eventually(t, "one that comes later", func() bool { return cl.Stats().Up == 2 })
	require.NoError(t, cl.Close())
}

func TestDialRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	for text, addresses := range map[string][]string{
		"no addresses of workers": {},
		`address "@name": it has to be like unix:/path, unix:@name or tcp:host:port`: {"@name"},
		`address "udp:127.0.0.1:1"`: {"udp:127.0.0.1:1"},
		`address "unix:"`:           {"unix:"},
		"no worker can be reached":  {"unix:" + filepath.Join(t.TempDir(), "nobody"), "tcp:127.0.0.1:1"},
		"connection refused":        {"tcp:127.0.0.1:1"},
	} {
		_, err := client.Dial(soon(t), s.dev, addresses...)
		require.ErrorContains(t, err, text)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := client.Dial(ended, s.dev, "tcp:127.0.0.1:1")
	require.Error(t, err)
}
