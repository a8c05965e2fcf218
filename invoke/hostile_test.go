package invoke

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/internal/transcript"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// TestHostileClients: requests that no client of this package would send. The
// worker drops the client at once or answers it, and goes on for the others.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var cfg WorkerConfig
	if effort.Race() {
		cfg.CallBytes = 16 << 20 // the detector marks all memory of the worker: 1 GiB stops the process for seconds
	}
	dev, address, stop := honestWorker(t, cfg)
	defer stop()
	honest, err := Dial(ctx, dev, "unix", address, ClientConfig{})
	require.NoError(t, err)
	defer honest.Close()

	// attack makes a client, has it post what a test says, and waits for its end.
	attack := func(name string, dropped bool, posts func(c *Client, s *clientSlot) []transport.WorkRequest) {
		c, err := Dial(ctx, dev, "unix", address, ClientConfig{Slots: 2, SlotBytes: 1024})
		require.NoError(t, err)
		defer c.Close()
		_, err = c.conn.Post(posts(c, &c.slots[0])...)
		require.NoError(t, err, name)
		if dropped {
			select {
			case <-c.Done():
			case <-ctx.Done():
				t.Fatalf("%s: the worker does not drop the client", name)
			}
		}
		f, err := honest.Function(ctx, "echo")
		require.NoError(t, err, name)
		out := make([]byte, 3)
		n, err := honest.Call(ctx, f, []byte("abc"), out)
		require.NoError(t, err, name)
		require.Equal(t, "abc", string(out[:n]))
	}
	full := func(s *clientSlot, change func(h *requestHeader)) []transport.WorkRequest {
		h := requestHeader{id: s.id + 2, function: 1, bytes: 10, reply: s.returned}
		change(&h)
		putRequest(s.header, h.id, h.function, h.bytes, h.timeout, h.reply)
		return []transport.WorkRequest{transport.WriteImm(0, s.local.Slice(0, headerBytes+10), s.worker, requestImm(0, kindFull, 1))}
	}
	imm := func(s *clientSlot, bytes int, imm uint32) []transport.WorkRequest {
		return []transport.WorkRequest{transport.WriteImm(0, s.local.Slice(0, bytes), s.worker, imm)}
	}

	attack("no header", true, func(_ *Client, s *clientSlot) []transport.WorkRequest { return imm(s, 0, requestImm(0, kindPlain, 1)) })
	attack("half a header", true, func(_ *Client, s *clientSlot) []transport.WorkRequest { return imm(s, 63, requestImm(0, kindPlain, 1)) })
	attack("slot out of range", true, func(_ *Client, s *clientSlot) []transport.WorkRequest { return imm(s, 64, requestImm(2, kindPlain, 1)) })
	attack("last slot there can be", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return imm(s, 64, requestImm(maxSlots-1, kindPlain, 1))
	})
	attack("longer than a slot", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		long := transport.RemoteSpan{Addr: s.worker.Addr, Key: s.worker.Key, Len: headerBytes + 1025}
		wr := transport.WriteImm(0, s.local, long, requestImm(0, kindPlain, 1))
		return []transport.WorkRequest{wr.WithSecondSpan(s.local.Slice(0, 1))}
	})
	attack("cancel with a payload", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return imm(s, 64, requestImm(0, kindCancel, 0))
	})
	attack("cancel of nothing", false, func(_ *Client, s *clientSlot) []transport.WorkRequest { return imm(s, 0, requestImm(0, kindCancel, 0)) })
	attack("kind that is never sent", false, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return imm(s, 64, requestImm(0, kindCanceled, 1))
	})
	attack("unknown function", false, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return imm(s, 64, requestImm(0, kindPlain, maxFunctions-1))
	})
	attack("send", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return []transport.WorkRequest{transport.Send(0, transport.Span{})}
	})
	attack("wrong id", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return full(s, func(h *requestHeader) { h.id++ })
	})
	attack("wrong length", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return full(s, func(h *requestHeader) { h.bytes = 1 << 31 })
	})
	attack("wrong function", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return full(s, func(h *requestHeader) { h.function = 2 })
	})
	attack("reply to nowhere", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return full(s, func(h *requestHeader) { h.reply.Addr = 8 })
	})
	attack("reply with a wrong key", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return full(s, func(h *requestHeader) { h.reply.Key ^= 0x5555 })
	})
	attack("reply beyond the end", true, func(c *Client, s *clientSlot) []transport.WorkRequest {
		return full(s, func(h *requestHeader) { h.reply.Addr += uint64(c.replies.Len()) })
	})
	attack("room without end", false, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return full(s, func(h *requestHeader) { h.reply.Len = headerBytes - 1 })
	})
	attack("an old deadline", false, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return full(s, func(h *requestHeader) { h.timeout = -1 })
	})
	metadata := func(s *clientSlot, claimed uint32, pairs string) []transport.WorkRequest {
		wrs := full(s, func(h *requestHeader) { h.bytes = uint32(10 - len(pairs)) })
		copy(s.input[10-len(pairs):], pairs)
		putMetadataBytes(s.header, claimed)
		return wrs
	}
	attack("metadata", false, func(_ *Client, s *clientSlot) []transport.WorkRequest { return metadata(s, 5, "\x01\x01\x00kv") })
	for name, pairs := range map[string]string{
		"half a pair": "\x01\x01", "no key": "\x00\x01\x00v", "longer than all": "\x01\xff\xffkv", "twice the same key": "\x01\x00\x00k\x01\x00\x00k",
	} {
		attack("metadata: "+name, true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
			return metadata(s, uint32(len(pairs)), pairs)
		})
	}
	attack("metadata that are not there", true, func(_ *Client, s *clientSlot) []transport.WorkRequest { return metadata(s, 11, "") })
	attack("metadata without end", true, func(_ *Client, s *clientSlot) []transport.WorkRequest { return metadata(s, 1<<32-1, "") })
	large := func(s *clientSlot, bytes uint32, change func(h *requestHeader)) []transport.WorkRequest {
		h := requestHeader{id: s.id + 2, function: 1, bytes: bytes, reply: s.returned, source: s.returned}
		h.source.Len = bytes
		change(&h)
		putRequest(s.header, h.id, h.function, h.bytes, h.timeout, h.reply)
		putSource(s.header, h.source)
		return []transport.WorkRequest{transport.WriteImm(0, s.local.Slice(0, headerBytes), s.worker, requestImm(0, kindFull, 1))}
	}
	attack("input at nowhere", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return large(s, 1<<20, func(h *requestHeader) { h.source.Addr = 8 })
	})
	attack("input with a wrong key", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return large(s, 1<<20, func(h *requestHeader) { h.source.Key ^= 0x5555 })
	})
	attack("input that may not be read", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return large(s, 100, func(*requestHeader) {})
	})
	attack("input beyond the end", true, func(c *Client, s *clientSlot) []transport.WorkRequest {
		b, err := c.NewBuffer(2000, 2000)
		require.NoError(t, err)
		return large(s, 1<<20, func(h *requestHeader) { h.source.Addr, h.source.Key = b.source.Addr, b.source.Key })
	})
	attack("input around the end of the address space", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return large(s, 1<<20, func(h *requestHeader) { h.source.Addr = ^uint64(0) - 1000 })
	})
	attack("input of 4 GiB", false, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		return large(s, 1<<32-1, func(*requestHeader) {})
	})
	attack("input that is away and there", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		wrs := large(s, 100, func(*requestHeader) {})
		wrs[0].Local = s.local.Slice(0, headerBytes+50)
		return wrs
	})
	attack("result to nowhere", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
		h := requestHeader{id: s.id + 2, function: 2, reply: transport.RemoteSpan{Addr: 8, Key: 99, Len: headerBytes + 1<<20}}
		putRequest(s.header, h.id, h.function, h.bytes, h.timeout, h.reply)
		return []transport.WorkRequest{transport.WriteImm(0, s.local.Slice(0, headerBytes), s.worker, requestImm(0, kindFull, 2))}
	})
	if !effort.Race() { // they write where the worker reads, which is a race by intent
		attack("two requests in one slot", true, func(_ *Client, s *clientSlot) []transport.WorkRequest {
			wrs := large(s, 1<<20, func(h *requestHeader) { h.source.Addr = 8 })
			return append(wrs, imm(s, 64, requestImm(0, kindPlain, 1))...)
		})
		attack("more than there are credits", false, func(_ *Client, s *clientSlot) []transport.WorkRequest {
			var wrs []transport.WorkRequest
			for range 8 {
				wrs = append(wrs, imm(s, 64, requestImm(0, kindPlain, 1))...)
			}
			return wrs
		})
	}

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		attack("at random", false, func(_ *Client, s *clientSlot) []transport.WorkRequest {
			for i := range s.header {
				s.header[i] = byte(random.Uint32())
			}
			if random.IntN(2) == 0 { // what passes the first checks
				putRequest(s.header, s.id+2, 1+random.Uint32()%2, random.Uint32()>>random.IntN(32), 0,
					transport.RemoteSpan{Addr: random.Uint64(), Len: max(headerBytes, random.Uint32()>>random.IntN(32))})
				return imm(s, headerBytes, requestImm(0, kindFull, uint32(s.header[8])))
			}
			return imm(s, random.IntN(200), random.Uint32()&^(1<<immSlotBits-1)|uint32(random.IntN(3)))
		})
	}
}

// TestClientThatTakesNoReplies: one that goes on sending without looking at its
// replies is dropped; one that just stops costs nobody anything but patience.
func TestClientThatTakesNoReplies(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var log transcript.Transcript
	dev, address, stop := honestWorker(t, WorkerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	defer stop()
	honest, err := Dial(ctx, dev, "unix", address, ClientConfig{})
	require.NoError(t, err)
	defer honest.Close()
	echo, err := honest.Function(ctx, "echo")
	require.NoError(t, err)
	const depth = depthPerSlot * defaultSlots // of both ends of each direction, with 2 slots
	for requests, reason := range map[int]string{
		1 << 20:                       "3 replies could not be posted; it has 2 slots",
		2*depth + rendezvousDepth + 2: "it does not take its replies; 2 could not be posted for 5s",
	} {
		c, err := Dial(ctx, dev, "unix", address, ClientConfig{Slots: 2})
		require.NoError(t, err)
		defer c.Close()
		s := &c.slots[0]
		for sent := 0; sent < requests && c.Err() == nil; sent++ {
			wr := transport.WriteImm(0, s.local.Slice(0, headerBytes), s.worker, requestImm(0, kindPlain, 1)).With(transport.Signaled)
			for c.Err() == nil {
				_, err := c.conn.Post(wr)
				if err == nil || c.Err() != nil {
					break
				}
				require.ErrorIs(t, err, transport.ErrQueueFull)
				c.sendQueue.Poll(c.completions[:])
			}
			_, err = honest.Call(ctx, echo, nil, nil)
			require.NoError(t, err)
		}
		select {
		case <-c.Done():
		case <-ctx.Done():
			t.Fatal("the worker does not drop the client")
		}
		require.Contains(t, log.String(), reason)
	}
	_, err = honest.Call(ctx, echo, nil, nil)
	require.NoError(t, err)
}

// TestCancelsOfNothing: cancels that come too late use up receives, too, though
// no reply is an occasion to replace them.
func TestCancelsOfNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dev, address, stop := honestWorker(t, WorkerConfig{})
	defer stop()
	c, err := Dial(ctx, dev, "unix", address, ClientConfig{Slots: 2})
	require.NoError(t, err)
	defer c.Close()
	f, err := c.Function(ctx, "echo")
	require.NoError(t, err)
	for range 200 {
		c.staged[0] = transport.WriteImm(0, transport.Span{}, c.slots[0].worker, requestImm(0, kindCancel, 0)).With(transport.Signaled)
		c.length = 1
		_, err := c.flush(ctx)
		require.NoError(t, err)
	}
	_, err = c.Call(ctx, f, nil, nil)
	require.NoError(t, err)
}

// TestHostileWorker: replies that no worker of this package would send.
func TestHostileWorker(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for name, reply := range map[string]func(s *session, id uint64) transport.WorkRequest{
		"slot out of range": func(s *session, id uint64) transport.WorkRequest {
			return transport.WriteImm(0, s.slots[0].local.Slice(0, 64), s.slots[0].returned, replyImm(16, StatusOK, id))
		},
		"slot without a call": func(s *session, id uint64) transport.WorkRequest {
			return transport.WriteImm(0, s.slots[1].local.Slice(0, 64), s.slots[1].returned, replyImm(1, StatusOK, id))
		},
		"another id": func(s *session, id uint64) transport.WorkRequest {
			return transport.WriteImm(0, s.slots[0].local.Slice(0, 64), s.slots[0].returned, replyImm(0, StatusOK, id+16))
		},
		"no header": func(s *session, id uint64) transport.WorkRequest {
			return transport.WriteImm(0, s.slots[0].local.Slice(0, 63), s.slots[0].returned, replyImm(0, StatusOK, id))
		},
		"longer than the room": func(s *session, id uint64) transport.WorkRequest {
			long := s.slots[0].returned
			long.Len++
			return transport.WriteImm(0, s.slots[0].local, long, replyImm(0, StatusOK, id)).WithSecondSpan(s.slots[0].local.Slice(0, 1))
		},
		"send": func(*session, uint64) transport.WorkRequest { return transport.Send(0, transport.Span{}) },
	} {
		dev, address, stop := honestWorker(t, WorkerConfig{})
		listener, err := transport.Listen("unix", filepath.Join(t.TempDir(), "h"))
		require.NoError(t, err)
		_ = address
		dialed := make(chan *Client, 1)
		go func() {
			c, err := Dial(ctx, dev, "unix", listener.Addr().String(), ClientConfig{})
			if err != nil {
				t.Error(err)
			}
			dialed <- c
		}()
		r, err := listener.Accept(ctx)
		require.NoError(t, err)
		h, err := decodeHello(r.Peer().PrivateData)
		require.NoError(t, err)
		s, err := newSession(dev, h.layout, h, rendezvousLimits{})
		require.NoError(t, err)
		w := &Worker{}
		w.requestQueue, err = dev.NewQueue(s.layout.depth())
		require.NoError(t, err)
		w.sendQueue, err = dev.NewQueue(s.layout.depth() + rendezvousDepth)
		require.NoError(t, err)
		require.NoError(t, s.accept(ctx, r, w, nil))
		c := <-dialed
		_, err = c.Go(ctx, &Handle{client: c, index: 1}, nil)
		require.NoError(t, err)
		_, err = s.conn.Post(reply(s, c.slots[0].id))
		require.NoError(t, err)
		_, err = Future{client: c, slot: 0, id: c.slots[0].id}.Wait(ctx, nil)
		require.ErrorIs(t, err, ErrWorkerGone, name)
		require.ErrorContains(t, err, "broke the protocol", name)
		require.NoError(t, c.Close())
		require.NoError(t, s.free())
		require.NoError(t, w.requestQueue.Close())
		require.NoError(t, w.sendQueue.Close())
		require.NoError(t, listener.Close())
		stop()
	}
}

func honestWorker(t *testing.T, cfg WorkerConfig) (dev *transport.Device, address string, stop func()) {
	dev, err := transport.Open("loopback:")
	require.NoError(t, err)
	r := NewRegistry()
	require.NoError(t, r.Register("echo", func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil }))
	require.NoError(t, r.Register("zeros", func(_ context.Context, _, out []byte) (int, error) { return len(out), nil }))
	w, err := NewWorker(dev, r, cfg)
	require.NoError(t, err)
	l, err := transport.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- w.Serve(context.Background(), l) }()
	return dev, l.Addr().String(), func() {
		require.NoError(t, w.Close())
		require.NoError(t, <-served)
		require.NoError(t, l.Close())
		require.Eventually(t, func() bool { return len(dev.Inventory()) == 0 }, time.Minute, time.Millisecond)
		require.NoError(t, dev.Close())
	}
}

// TestUnstage: a call that could not be posted leaves no trace: both ends go on
// counting together.
func TestUnstage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dev, address, stop := honestWorker(t, WorkerConfig{})
	defer stop()
	c, err := Dial(ctx, dev, "unix", address, ClientConfig{Slots: 1})
	require.NoError(t, err)
	defer c.Close()
	f, err := c.Function(ctx, "echo")
	require.NoError(t, err)
	c.stage(&c.slots[0], f, 0, 0)
	c.length = 0
	c.unstage(&c.slots[0])
	out := make([]byte, 2)
	n, err := c.Call(ctx, f, []byte("ok"), out)
	require.NoError(t, err)
	require.Equal(t, "ok", string(out[:n]))
	credits, err := c.Credits()
	require.NoError(t, err)
	require.Equal(t, Credits{Free: 1}, credits)
}
