package pingpong

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
)

// own is this end's address, as a provider tells it.
var own = roceaddr.Address{GID: netip.MustParseAddr("10.9.0.2"), QPN: 0xabc, PSN: 0xdef, MTU: 4096, Resources: 16, Initiates: 16, Port: 4791}

const (
	ownText    = "0000:000abc:000def:00000000000000000000ffff0a090002\x00"
	remoteText = "0000:000011:31e97e:00000000000000000000ffff0a090001\x00"
)

// tool is the other end of a handshake: each step is what it says, or, with <, what
// it hears.
type tool []string

func (script tool) play(stream net.Conn) error {
	for _, step := range script {
		if step[0] != '<' {
			if _, err := io.WriteString(stream, step); err != nil {
				return err
			}
			continue
		}
		heard := make([]byte, len(step)-1)
		if _, err := io.ReadFull(stream, heard); err != nil {
			return err
		}
		if string(heard) != step[1:] {
			return fmt.Errorf("heard %q and not %q", heard, step[1:])
		}
	}
	return nil
}

// newHandshake makes one over a pipe, on which everything that is written waits
// until it is read.
func newHandshake(t *testing.T, host string) (*handshake, net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	cfg := settings()
	cfg.Host = host
	return &handshake{ctx: t.Context(), cfg: &cfg, open: func() (net.Conn, error) { return a, nil }}, b
}

// TestHandshake: what is said before, between and after the provider's two
// exchanges. The server's answer has to wait until it is ready.
func TestHandshake(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		host          string
		first, second tool // what the other end does meanwhile
	}{
		"client": {"server", tool{"<" + ownText, remoteText}, tool{"<" + done}},
		"server": {"", tool{remoteText}, tool{"<" + ownText, done}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, other := newHandshake(t, test.host)
			defer h.close()
			var local, remote Address
			h.cfg.OnLocal, h.cfg.OnRemote = func(a Address) { local = a }, func(a Address) { remote = a }
			played := make(chan error, 1)
			go func() { played <- test.first.play(other) }()
			answer, fds, err := h.Exchange(own.Encode(), nil)
			require.NoError(t, err)
			require.Empty(t, fds)
			require.NoError(t, <-played)
			got, err := roceaddr.Decode(answer)
			require.NoError(t, err)
			require.Equal(t, roceaddr.Address{
				GID: netip.MustParseAddr("10.9.0.1"), QPN: 0x11, PSN: 0x31e97e, MTU: 1024, Resources: 1, Initiates: 1, Port: 4791,
			}, got)
			require.Equal(t, Address{GID: own.GID, QPN: own.QPN, PSN: own.PSN}, local)
			require.Equal(t, Address{GID: got.GID, QPN: got.QPN, PSN: got.PSN}, remote)

			go func() { played <- test.second.play(other) }()
			answer, _, err = h.Exchange([]byte("ready"), nil)
			require.NoError(t, err)
			require.Equal(t, "ready", string(answer))
			require.NoError(t, <-played)
			require.False(t, h.PassesFDs())
			_, _, err = h.Exchange([]byte("more"), nil)
			require.ErrorContains(t, err, "more than the two messages")
		})
	}
}

// TestHandshakeRefuses: this end's addresses with which there can be no game.
func TestHandshakeRefuses(t *testing.T) {
	t.Parallel()
	h, _ := newHandshake(t, "server")
	_, _, err := h.Exchange([]byte("no address"), nil)
	require.ErrorContains(t, err, "not a RoCE address")
	h, _ = newHandshake(t, "server")
	small := own
	small.MTU = 512
	_, _, err = h.Exchange(small.Encode(), nil)
	require.EqualError(t, err, "--mtu 1024: this end's path MTU is 512; use --mtu 512 at both ends, or a network interface with a larger MTU")
}

// hostile are peers that do not play, at either role, and what is said of them. The
// handshake goes this far: hello, its own address, is what a client hears first.
var hostile = map[string]struct {
	says string
	want string
}{
	"nothing":         {"", "the peer did not tell its address: it hung up"},
	"half an address": {remoteText[:20], `speaks another protocol: it said "0000:000011:31e97e:0" and hung up; run ibv_rc_pingpong or 'rfaas roce pingpong' there`},
	"a web page":      {"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n", `speaks another protocol: "HTTP/1.1 400 Bad`},
	"no GID":          {"0000:000011:31e97e:00000000000000000000000000000000\x00", "the peer told no GID: give ibv_rc_pingpong the index of its RoCE v2 GID, as in -g 1"},
	"another family":  {"0000:000011:31e97e:fe800000000000000000000000000001\x00", "the peer's GID fe80::1 and this end's 127."},
	"everybody":       {"0000:000011:31e97e:00000000000000000000ffffe0000001\x00", "the peer's address makes no sense: RoCE address: 224.0.0.1 is no host's address"},
	"QPN 0":           {"0000:000000:31e97e:00000000000000000000ffff7f000001\x00", "the peer's address makes no sense: RoCE address: queue pair number 0x0"},
	"out of reach":    {remoteText, "the peer's address is 10.9.0.1 and this end's 127."},
}

// TestHostileClients: servers refuse what is no client, and keep nothing.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	cases := map[string][2]string{
		"another word":        {"0000:000011:31e97e:00000000000000000000ffff7f000001\x00over\x00", `it said "over\x00" in place of "done\x00"`},
		"not the word":        {"0000:000011:31e97e:00000000000000000000ffff7f000001\x00", "the peer did not take this end's address; see what it says: it hung up"},
		"not all of the word": {"0000:000011:31e97e:00000000000000000000ffff7f000001\x00do", "the peer did not take this end's address; see what it says: it hung up"},
	}
	for name, test := range hostile {
		cases[name] = [2]string{test.says, test.want}
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, ended := serve(t, t.Context(), open(t, ""), settings())
			client := dialPort(t, port)
			must(io.WriteString(client, test[0]))
			client.(*net.TCPConn).CloseWrite() // an error if the server has hung up already
			require.ErrorContains(t, (<-ended).err, test[1])
			_, err := io.ReadAll(client) // the server hangs up
			if err != nil {
				require.ErrorContains(t, err, "reset by peer")
			}
		})
	}
}

// dialPort connects to a server of this test.
func dialPort(t *testing.T, port int) net.Conn {
	stream := must(net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))))
	t.Cleanup(func() { stream.Close() })
	return stream
}

// listenForClient listens, and returns how a client is to be set.
func listenForClient(t *testing.T) (net.Listener, Config) {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	cfg := settings()
	cfg.Host, cfg.Port = "127.0.0.1", l.Addr().(*net.TCPAddr).Port
	return l, cfg
}

// TestHostileServers: clients, too.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	for name, test := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, cfg := listenForClient(t)
			go func() {
				stream, err := l.Accept()
				if err == nil {
					io.ReadFull(stream, make([]byte, textBytes))
					io.WriteString(stream, test.says)
					stream.Close()
				}
			}()
			_, err := Run(t.Context(), open(t, ""), cfg)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// TestNoPeer: peers that are absent, or silent.
func TestNoPeer(t *testing.T) {
	t.Parallel()
	short := settings()
	short.Timeout = 50 * time.Millisecond
	t.Run("no client", func(t *testing.T) {
		t.Parallel()
		_, err := Run(t.Context(), open(t, ""), short)
		require.EqualError(t, err, "no client came within --timeout 50ms")
	})
	t.Run("a silent client", func(t *testing.T) {
		t.Parallel()
		cfg := short
		cfg.Timeout = time.Second // enough for it to come
		port, ended := serve(t, t.Context(), open(t, ""), cfg)
		dialPort(t, port)
		require.EqualError(t, (<-ended).err, "the peer did not tell its address within --timeout 1s: is it ibv_rc_pingpong or 'rfaas roce pingpong'?")
	})
	t.Run("a silent server", func(t *testing.T) {
		t.Parallel()
		_, cfg := listenForClient(t)
		cfg.Timeout = short.Timeout
		_, err := Run(t.Context(), open(t, ""), cfg)
		require.ErrorContains(t, err, "the peer did not tell its address within --timeout 50ms")
	})
	t.Run("no server", func(t *testing.T) {
		t.Parallel()
		l, cfg := listenForClient(t)
		l.Close()
		_, err := Run(t.Context(), open(t, ""), cfg)
		require.EqualError(t, err, fmt.Sprintf("no server listens at 127.0.0.1:%d: start it there first: 'rfaas roce pingpong' or ibv_rc_pingpong without a host, and with the same --port", cfg.Port))
	})
	t.Run("no such host", func(t *testing.T) {
		t.Parallel()
		cfg := settings()
		cfg.Host, cfg.Port = "no host", 1
		_, err := Run(t.Context(), open(t, ""), cfg)
		require.ErrorContains(t, err, "the server cannot be reached: ")
	})
	t.Run("port taken", func(t *testing.T) {
		t.Parallel()
		l := must(net.Listen("tcp", ":0"))
		defer l.Close()
		cfg := settings()
		cfg.Port = l.Addr().(*net.TCPAddr).Port
		_, err := Run(t.Context(), open(t, ""), cfg)
		require.EqualError(t, err, fmt.Sprintf("TCP port %d is taken, by another server maybe; choose another --port at both ends", cfg.Port))
	})
}

// TestCancelled: the context ends a game at every point where it waits.
func TestCancelled(t *testing.T) {
	t.Parallel()
	errEnough := errors.New("enough")
	settings := func() Config {
		cfg := settings()
		cfg.Timeout = time.Hour // so that it is not this which ends the game
		return cfg
	}
	begin := func(t *testing.T) (cancel func(), port int, ended <-chan outcome) {
		ctx, end := context.WithCancelCause(t.Context())
		port, ended = serve(t, ctx, open(t, ""), settings())
		return func() { end(errEnough) }, port, ended
	}
	t.Run("waiting for a client", func(t *testing.T) {
		t.Parallel()
		cancel, _, ended := begin(t)
		cancel()
		require.Equal(t, errEnough, (<-ended).err)
	})
	t.Run("waiting for its address", func(t *testing.T) {
		t.Parallel()
		cancel, port, ended := begin(t)
		dialPort(t, port)
		cancel()
		require.Equal(t, errEnough, (<-ended).err)
	})
	t.Run("waiting for the server's address", func(t *testing.T) {
		t.Parallel()
		ctx, end := context.WithCancelCause(t.Context())
		l, cfg := listenForClient(t)
		cfg.Timeout = time.Hour
		dev := open(t, "")
		ended := make(chan error, 1)
		go func() {
			_, err := Run(ctx, dev, cfg)
			ended <- err
		}()
		stream := must(l.Accept())
		defer stream.Close()
		must(io.ReadFull(stream, make([]byte, textBytes)))
		end(errEnough)
		require.Equal(t, errEnough, <-ended)
	})
	t.Run("playing", func(t *testing.T) {
		t.Parallel()
		cancel, port, ended := begin(t)
		cfg := settings()
		cfg.Host, cfg.Port = "127.0.0.1", port
		m := playManually(t, open(t, ""), cfg)
		m.post(m.message())
		m.awaitBoth() // the server is playing
		cancel()
		require.Equal(t, errEnough, (<-ended).err)
	})
}
