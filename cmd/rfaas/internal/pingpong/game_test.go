package pingpong

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
)

// TestGame: both ends have sent and received everything, and no end had to wait
// because the other one was not ready.
func TestGame(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *Config){
		"as it is":        func(*Config) {},
		"checked":         func(c *Config) { c.Check = true },
		"polled":          func(c *Config) { c.Events = false },
		"polled, checked": func(c *Config) { c.Events, c.Check = false, true },
		"polled, inline":  func(c *Config) { c.Events, c.Size = false, 64 },
		"one byte":        func(c *Config) { c.Size, c.Check = 1, true },
		"a packet":        func(c *Config) { c.Size, c.Check = 1024, true },
		"odd":             func(c *Config) { c.Size, c.Check = 65536+1, true },
		"large packets":   func(c *Config) { c.Size, c.MTU, c.Check = 65536, 4096, true },
		"small packets":   func(c *Config) { c.MTU, c.Check = 256, true },
		"one receive":     func(c *Config) { c.RxDepth, c.Check = 1, true },
		"two receives":    func(c *Config) { c.RxDepth = 2 },
		"many receives":   func(c *Config) { c.RxDepth = 500 },
		"one iteration":   func(c *Config) { c.Iterations = 1 },
		"many iterations": func(c *Config) { c.Size, c.Iterations = 8, 1000 },
		"a big message":   func(c *Config) { c.Size, c.Iterations, c.Check = 2<<20, 2, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := settings()
			change(&cfg)
			client, server := open(t, ""), open(t, "")
			ofClient, ofServer := cfg, cfg
			var local, remote Address
			ofServer.OnLocal = func(a Address) { local = a }
			ofClient.OnRemote = func(a Address) { remote = a }
			c, s := play(t, client, server, ofClient, ofServer)
			for _, o := range []outcome{c, s} {
				require.NoError(t, o.err)
				require.Equal(t, int64(2*cfg.Size*cfg.Iterations), o.result.Bytes)
				require.Equal(t, cfg.Iterations, o.result.Iterations)
				require.Positive(t, o.result.Elapsed)
			}
			require.Equal(t, local, remote)
			require.NotZero(t, local.QPN)
			for _, dev := range []*transport.Device{client, server} {
				require.GreaterOrEqual(t, counter(dev, "bytes_sent"), uint64(cfg.Size*cfg.Iterations))
				require.Zero(t, counter(dev, "rnr_naks_sent"), "receives are posted before the peer can send")
			}
		})
	}
}

// without is an adapter that cannot do everything.
type without struct {
	transport.Adapter
	features transport.Features
	wire     string
}

func (w without) Capabilities() transport.Capabilities {
	caps := w.Adapter.Capabilities()
	caps.Features &^= w.features
	if w.wire != "" {
		caps.Wire = w.wire
	}
	return caps
}

// TestWithoutSharedReceive: devices that have no shared receives will do.
func TestWithoutSharedReceive(t *testing.T) {
	t.Parallel()
	newDevice := func() *transport.Device {
		adapter := must(softroce.Open(&url.URL{Scheme: "softroce"}))
		dev := transport.NewDevice("limited", without{Adapter: adapter, features: transport.FeatureSharedReceive})
		t.Cleanup(func() { require.NoError(t, dev.Close()) })
		return dev
	}
	cfg := settings()
	cfg.Check = true
	client, server := newDevice(), newDevice()
	c, s := play(t, client, server, cfg, cfg)
	require.NoError(t, c.err)
	require.NoError(t, s.err)
	require.Empty(t, client.Inventory())
	require.Empty(t, server.Inventory())
}

// TestDisagreement: ends that were told different things say so, if it matters.
func TestDisagreement(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change         func(client, server *Config)
		client, server string // what they say; nothing for success
	}{
		"larger messages": {
			func(c, _ *Config) { c.Size = 8192 },
			"after 0 of 100 iterations: the peer refuses a message of 8192 bytes: use the same --size and --mtu at both ends",
			"after 0 of 100 iterations: the peer's message has more than 4096 bytes: use the same --size at both ends",
		},
		"smaller messages": {
			func(c, _ *Config) { c.Size, c.Timeout = 1024, 2*time.Second },
			"after 0 of 100 iterations: nothing came from the peer for --timeout 2s",
			"after 0 of 100 iterations: the peer's message has 1024 bytes and not 4096: use the same --size at both ends",
		},
		"larger packets": {
			func(c, s *Config) { c.MTU, s.MTU = 4096, 256 },
			"the peer refuse", // by the completion, or by the end of the connection if that is seen first
			"after 0 of 100 iterations: ",
		},
		"the server ends early": {
			func(c, s *Config) { s.Iterations, c.Timeout = 50, 2*time.Second },
			"told fewer --iters", // the next message is still acknowledged, or not
			"",
		},
		"the client ends early": {
			func(c, s *Config) { c.Iterations, s.Timeout = 50, 2*time.Second },
			"",
			"after 50 of 100 iterations: nothing came from the peer for --timeout 2s: it ended, or it was told fewer --iters",
		},
		"only the client checks": { // the server sends back what it got, whether it looks at it or not
			func(c, _ *Config) { c.Check = true }, "", "",
		},
		"only the server checks": {
			func(c, s *Config) { s.Check, c.Timeout = true, 2*time.Second },
			"after 0 of 100 iterations: nothing came from the peer for --timeout 2s",
			"after 0 of 100 iterations: message 1 is wrong: byte 0 is 0x7b instead of 0x00; does the client run with --chk",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ofClient, ofServer := settings(), settings()
			test.change(&ofClient, &ofServer)
			c, s := play(t, open(t, quick), open(t, quick), ofClient, ofServer)
			for err, want := range map[*error]string{&c.err: test.client, &s.err: test.server} {
				if want == "" {
					require.NoError(t, *err)
				} else {
					require.ErrorContains(t, *err, want)
				}
			}
		})
	}
}

// TestMisbehaviour: a client that the test plays, and what the server says.
func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	for want, misbehave := range map[string]func(m *manual){
		"iterations: message 2 is wrong: byte 4000 is 0x01 instead of 0x7b": func(m *manual) {
			copy(m.out, pattern(len(m.out)))
			m.post(m.message())
			m.awaitBoth()
			m.out[4000] = 1
			m.post(m.message())
		},
		"after 0 of 100 iterations: the peer did a recv-imm, which is not in this game": func(m *manual) {
			m.post(transport.WriteImm(1, transport.Span{}, transport.RemoteSpan{}, 5))
		},
		// Nothing completes at the server, but its connection is in error.
		"connection 1 to peer: ": func(m *manual) {
			m.post(transport.Read(1, m.inSpan, transport.RemoteSpan{Addr: 4096, Len: 4096, Key: 12345}))
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			server, client := open(t, quick), open(t, quick)
			ofServer, ofClient := settings(), settings()
			ofServer.Check = true
			port, ended := serve(t, t.Context(), server, ofServer)
			ofClient.Host, ofClient.Port = "127.0.0.1", port
			misbehave(playManually(t, client, ofClient))
			select {
			case o := <-ended:
				require.ErrorContains(t, o.err, want)
			case <-time.After(patience):
				require.FailNow(t, "the server does not end")
			}
		})
	}
}

// TestLongGame: the timeout is for silence, and not for the whole.
func TestLongGame(t *testing.T) {
	t.Parallel()
	server, client := open(t, ""), open(t, "")
	cfg := settings()
	cfg.Iterations = 1 << 30
	ofServer := cfg
	ofServer.Timeout = 2 * time.Second
	port, ended := serve(t, t.Context(), server, ofServer)
	cfg.Host, cfg.Port = "127.0.0.1", port
	m := playManually(t, client, cfg)
	for start := time.Now(); time.Since(start) < ofServer.Timeout*3/2; {
		m.post(m.message())
		m.awaitBoth()
		m.posted--
		require.NoError(t, m.postReceives())
	}
	require.ErrorContains(t, (<-ended).err, "nothing came from the peer for --timeout 2s") // as it does now
}

// TestTooEarly: a message before the last one was answered.
func TestTooEarly(t *testing.T) {
	t.Parallel()
	cfg := settings()
	g := &game{cfg: &cfg, pending: pendingSend}
	err := g.receive(&transport.Completion{Op: transport.OpRecv, Bytes: uint32(cfg.Size)})
	require.ErrorContains(t, err, "the peer sent a message before it had an answer to the one before")
}

// TestCheckedMessage: a server that checks sends back what came, and not what it
// expects, and a message that has been looked at is not taken for the next one.
func TestCheckedMessage(t *testing.T) {
	t.Parallel()
	server, client := open(t, ""), open(t, "")
	cfg := settings()
	cfg.Check = true
	port, ended := serve(t, t.Context(), server, cfg)
	cfg.Host, cfg.Port = "127.0.0.1", port
	m := playManually(t, client, cfg)
	require.Equal(t, pattern(cfg.Size), m.out)
	require.Equal(t, bytes.Repeat([]byte{cleared}, cfg.Size), m.in)
	m.pending = pendingReceive
	copy(m.in, m.expected)
	require.NoError(t, m.receive(&transport.Completion{Op: transport.OpRecv, Bytes: uint32(cfg.Size)}))
	require.ErrorContains(t, compare(m.in, m.expected), "byte 0 is 0xff instead of 0x00")

	m.cfg.Host = "" // as a server
	m.pending = pendingReceive
	copy(m.in, m.expected)
	fill(m.out, 1)
	require.NoError(t, m.receive(&transport.Completion{Op: transport.OpRecv, Bytes: uint32(cfg.Size)}))
	require.Equal(t, m.expected, m.out)
	require.ErrorContains(t, compare(m.in, m.expected), "byte 0 is 0xff instead of 0x00")

	m.cfg.Host = "127.0.0.1"
	m.received, m.sent, m.pending = 0, 0, 0
	m.posted += 2                 // those have not been received
	_, err := m.play(t.Context()) // so that the server ends
	require.NoError(t, err)
	require.NoError(t, (<-ended).err)
}

// TestPattern: what the tool looks for.
func TestPattern(t *testing.T) {
	t.Parallel()
	require.Equal(t, []byte{0}, pattern(1))
	p := pattern(10000)
	require.Len(t, p, 10000)
	require.Equal(t, []byte{0, 0x7b, 0x7b}, p[:3])
	require.Equal(t, byte(0), p[len(p)/4096*4096], "on machines with 4 KiB pages")
	require.NoError(t, compare(p, pattern(10000)))
}

// TestResult: the tool's two lines.
func TestResult(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, Result{Bytes: 8192000, Iterations: 1000, Elapsed: 52340 * time.Microsecond}.Write(&b))
	require.Equal(t, "8192000 bytes in 0.05 seconds = 1252.12 Mbit/sec\n1000 iters in 0.05 seconds = 52.34 usec/iter\n", b.String())
}

// TestFlags: settings that are refused before anything is done.
func TestFlags(t *testing.T) {
	t.Parallel()
	dev := open(t, "")
	for want, change := range map[string]func(c *Config){
		"--mtu 1500: must be 256, 512, 1024, 2048 or 4096": func(c *Config) { c.MTU = 1500 },
		"--timeout 0s: must be more than 0":                func(c *Config) { c.Timeout = 0 },
		"--port -1: must be 0 to 65535":                    func(c *Config) { c.Port = -1 },
		"--port 0: must be 1 to 65535":                     func(c *Config) { c.Host = "127.0.0.1" },
		"--port 65536: must be 0 to 65535":                 func(c *Config) { c.Port = 65536 },
		"--size 0: must be 1 to 1073741824":                func(c *Config) { c.Size = 0 },
		"--size 1073741825: must be 1 to 1073741824":       func(c *Config) { c.Size = 1<<30 + 1 },
		"--iters 0: must be 1 to 2147483647":               func(c *Config) { c.Iterations = 0 },
		"--rx-depth 0: must be 1 to ":                      func(c *Config) { c.RxDepth = 0 },
		"--rx-depth 1000000000: must be 1 to ":             func(c *Config) { c.RxDepth = 1000000000 },
	} {
		cfg := settings()
		change(&cfg)
		_, err := Run(t.Context(), dev, cfg)
		var flag *FlagError
		require.ErrorAs(t, err, &flag, want)
		require.ErrorContains(t, err, want)
	}
	adapter := must(softroce.Open(&url.URL{Scheme: "softroce"}))
	other := transport.NewDevice("other", without{Adapter: adapter, wire: "other/1"})
	defer other.Close()
	_, err := Run(t.Context(), other, settings())
	var flag *FlagError
	require.ErrorAs(t, err, &flag)
	require.EqualError(t, err, "--transport other: speaks other/1 and not RoCE; use softroce or verbs")
}
