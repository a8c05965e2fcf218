package invoke_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke"
	_ "github.com/rfaas-go/rfaas/softroce"
)

// slot is the default size of slots, which most of these tests go beyond.
const slot = 64 << 10

// pattern is n bytes that tell where they are.
func pattern(n int, seed uint64) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], (uint64(i)+seed)*0x9E3779B97F4A7C15)
	}
	return b[:n]
}

// resize is a function that answers the first 8 bytes of its input, a length, with
// a pattern of that length, if the rest of the input is a pattern, too.
func resize(_ context.Context, in, out []byte) (int, error) {
	n := int(binary.LittleEndian.Uint64(in))
	if !bytes.Equal(in[8:], pattern(len(in)-8, 1)) {
		return 0, errors.New("the input is damaged")
	}
	if n > len(out) {
		return n, nil
	}
	return copy(out, pattern(n, 2)), nil
}

// resizing is an input of n bytes that asks for a result of m.
func resizing(n, m int) []byte {
	in := binary.LittleEndian.AppendUint64(nil, uint64(m))
	return append(in, pattern(max(n, 8)-8, 1)...)
}

// everyNetwork runs a test over every kind of provider, good and bad networks.
func everyNetwork(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Parallel()
	urls := []string{
		"loopback:", "shm:", "softroce:", "softroce:?loss=0.02&reorder=0.02",
		"faulty+shm:?seed=3&queue-full=0.2&hold=0.2&wake=0.2", "faulty+loopback:?seed=4&queue-full=0.2&hold=0.2&wake=0.2",
	}
	if device := os.Getenv("RXE_DEVICE"); device != "" { // see ci/rxe/run
		urls = append(urls, "verbs://"+device)
	}
	for _, url := range urls {
		t.Run(strings.NewReplacer(":", " ", "?", "").Replace(url), func(t *testing.T) {
			t.Parallel()
			test(t, url)
		})
	}
}

// scaled is n, or less with the race detector, which makes everything slow.
func scaled(n int) int {
	if effort.Race() {
		return n / 4
	}
	return n
}

// slow reports whether a network loses packets, or is emulated.
func slow(url string) bool { return strings.Contains(url, "loss") || strings.Contains(url, "verbs") }

// TestRendezvousCalls: whatever the lengths, a call with slices, a future and a buffer
// give the same bytes.
func TestRendezvousCalls(t *testing.T) {
	everyNetwork(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		require.Equal(t, 1<<30, c.RendezvousBytes())
		f := s.register(t, c, "resize", resize)
		sizes := []int{8, slot - 1, slot, slot + 1, 1<<20 + 3}
		if effort.Race() {
			sizes = []int{8, slot, slot + 1, 300 << 10}
		} else if !slow(url) {
			sizes = append(sizes, 256<<10, 256<<10+1, 3<<20)
		}
		for _, n := range sizes {
			for _, m := range append(sizes, 0, 1) {
				about := fmt.Sprintf("%d bytes in, %d out", n, m)
				in, want, out := resizing(n, m), pattern(m, 2), make([]byte, m)
				got, err := c.Call(soon(t), f, in, out)
				require.NoError(t, err, about)
				require.True(t, bytes.Equal(want, out[:got]), about)

				clear(out)
				future, err := c.Go(soon(t), f, in, invoke.CallOptions{Room: m})
				require.NoError(t, err, about)
				got, err = future.Wait(soon(t), out)
				require.NoError(t, err, about)
				require.True(t, bytes.Equal(want, out[:got]), about)
				timing, ok := c.Timing()
				require.True(t, ok && timing.Execution > 0 && timing.Queue >= 0, about)

				b, err := c.NewBuffer(n, m)
				require.NoError(t, err, about)
				copy(b.In(), in)
				result, err := b.Call(soon(t), f, n)
				require.NoError(t, err, about)
				require.True(t, bytes.Equal(want, result), about)
				require.NoError(t, b.Close())
			}
		}
		credits, err := c.Credits()
		require.NoError(t, err)
		require.Equal(t, invoke.Credits{Free: 16}, credits)
		require.Equal(t, uint64(3*len(sizes)*(len(sizes)+2)+1), s.calls(t, 3*len(sizes)*(len(sizes)+2)+1))
	})
}

// calls waits until the worker has published n calls.
func (s *stand) calls(t *testing.T, n int) uint64 {
	eventually(t, "the worker's numbers", func() bool { return s.worker.Stats().Calls >= uint64(n) })
	return s.worker.Stats().Calls
}

// Test64MiB: the payload that the issue is about, both ways.
func Test64MiB(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		size := scaled(64 << 20)
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		in, out := pattern(size, 5), make([]byte, size)
		n, err := c.Call(soon(t), find(t, c, "echo"), in, out)
		require.NoError(t, err)
		require.True(t, bytes.Equal(in, out[:n]))
	})
}

// TestManyLargeCalls: more than have memory at once, among small ones, waited for
// in any order.
func TestManyLargeCalls(t *testing.T) {
	everyNetwork(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{ClientBytes: 3 << 20, TotalBytes: 16 << 20})
		c, other := s.dial(t, invoke.ClientConfig{}), s.dial(t, invoke.ClientConfig{})
		f := s.register(t, c, "resize", resize)
		echo, theirs := find(t, c, "echo"), find(t, other, "echo")
		random := rand.New(rand.NewPCG(1, 2))
		for range effort.Of(1, 3) {
			type pending struct {
				future invoke.Future
				want   []byte
			}
			var calls []pending
			for i := range 16 {
				p := pending{want: pattern(random.IntN(400<<10), 2)}
				in, function := resizing(random.IntN(600<<10), len(p.want)), f
				if i%4 == 0 {
					in, function, p.want = []byte{byte(i)}, echo, []byte{byte(i)}
				}
				var err error
				p.future, err = c.Go(soon(t), function, in, invoke.CallOptions{Room: len(p.want)})
				require.NoError(t, err)
				calls = append(calls, p)
			}
			_, err := other.Call(soon(t), theirs, []byte("in between"), make([]byte, 10))
			require.NoError(t, err)
			for _, i := range random.Perm(len(calls)) {
				out := make([]byte, len(calls[i].want))
				n, err := calls[i].future.Wait(soon(t), out)
				require.NoError(t, err)
				require.True(t, bytes.Equal(calls[i].want, out[:n]))
			}
		}
		inputs := [][]byte{[]byte("small"), pattern(slot+5, 1), []byte("again")}
		futures, out := make([]invoke.Future, 3), make([]byte, slot+5)
		_, err := c.GoBatch(soon(t), find(t, c, "echo"), inputs, futures)
		require.NoError(t, err)
		for i, future := range futures {
			n, err := future.Wait(soon(t), out)
			if i == 1 { // a batch makes room for what fits into a slot
				require.ErrorIs(t, err, invoke.ErrTooLarge)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, inputs[i], out[:n])
		}
	})
}

// TestSmallCallsDuringLargeOnes: another client's calls are answered while a
// payload is under way, and not behind it.
func TestSmallCallsDuringLargeOnes(t *testing.T) {
	t.Parallel()
	s := serve(t, "shm:", invoke.WorkerConfig{})
	c, other := s.dial(t, invoke.ClientConfig{Slots: 2}), s.dial(t, invoke.ClientConfig{})
	small := find(t, other, "echo")
	s.inTheMiddle(t, c, func(large *invoke.Handle) {
		b, err := c.NewBuffer(256<<20, 0)
		require.NoError(t, err)
		require.NoError(t, b.Go(soon(t), large, len(b.In()))) // new memory, at both ends: this takes long
		_, err = other.Call(soon(t), small, []byte("x"), make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, b.Abandon())
		eventually(t, "the end of the quarantine", func() bool { return b.Close() == nil })
	})
}

// TestRendezvousDeadline: a deadline that passes, and a cancellation, in the middle of
// a transfer, end it; what is left of it is a free slot.
func TestRendezvousDeadline(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 2})
		b, err := c.NewBuffer(scaled(512<<20), 0)
		require.NoError(t, err)
		ended := func(err, is error) {
			if err != nil {
				require.ErrorIs(t, err, is)
			}
			_, err = b.Wait(soon(t))
			require.ErrorIs(t, err, invoke.ErrCollected)
			eventually(t, "the credit", func() bool {
				credits, err := c.Credits()
				require.NoError(t, err)
				return credits == invoke.Credits{Free: 2}
			})
		}
		s.inTheMiddle(t, c, func(f *invoke.Handle) {
			for limit := 2 * time.Millisecond; ; limit *= 2 {
				err := b.Go(within(t, limit), f, len(b.In()))
				if err == nil { // it was sent before the deadline
					break
				}
				require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
			}
			_, err := b.Wait(soon(t))
			ended(err, invoke.ErrDeadlineExceeded)
		})
		s.inTheMiddle(t, c, func(f *invoke.Handle) {
			require.NoError(t, b.Go(soon(t), f, len(b.In())))
			ctx, cancel := context.WithCancel(soon(t))
			time.AfterFunc(time.Millisecond, cancel)
			_, err := b.Wait(ctx)
			ended(err, invoke.ErrCanceled)
		})
		require.NoError(t, b.Close())
	})
}

// inTheMiddle has a call end before its input has arrived, so that the function is
// not started. On a busy machine the input may be there before: then it tries again.
func (s *stand) inTheMiddle(t *testing.T, c *invoke.Client, end func(f *invoke.Handle)) {
	t.Helper()
	var started atomic.Int64
	f := s.register(t, c, fmt.Sprintf("late %p", &started), func(context.Context, []byte, []byte) (int, error) {
		started.Add(1)
		return 0, nil
	})
	for range 50 {
		before, refused := started.Load(), s.worker.Stats().Refused
		end(f)
		if started.Load() == before {
			eventually(t, "the refusal", func() bool { return s.worker.Stats().Refused == refused+1 })
			return
		}
	}
	t.Fatal("the input was there before, each time")
}

// TestRendezvousStatuses: failures of functions whose input or result is large.
func TestRendezvousStatuses(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const large = slot + 1000
		s := serve(t, url, invoke.WorkerConfig{CallBytes: 4 << 20})
		c := s.dial(t, invoke.ClientConfig{Slots: 2})
		require.Equal(t, 4<<20, c.RendezvousBytes())
		out := make([]byte, large)
		for _, test := range []struct {
			name    string
			in, out int
			f       invoke.Function
			is      error
			started invoke.Started
			message string
		}{
			{"fails", large, 0, func(_ context.Context, in, _ []byte) (int, error) { return 0, fmt.Errorf("%d are too many", len(in)) },
				invoke.ErrFunction, invoke.StartedYes, fmt.Sprintf("%d are too many", large)},
			{"crashes", large, large, func(_ context.Context, in, _ []byte) (int, error) { return int(in[len(in)]), nil },
				invoke.ErrCrashed, invoke.StartedYes, "index out of range"},
			{"negative", 1, large, func(context.Context, []byte, []byte) (int, error) { return -5, nil },
				invoke.ErrCrashed, invoke.StartedYes, "length of -5 bytes"},
			{"result too long", large, large, func(_ context.Context, _, out []byte) (int, error) { return len(out) + 1, nil },
				invoke.ErrTooLarge, invoke.StartedYes, fmt.Sprintf("the result has %d bytes, there is room for %d", large+1, large)},
			{"result too long for the slot", large, 0, func(_ context.Context, _, out []byte) (int, error) { return len(out) + 1, nil },
				invoke.ErrTooLarge, invoke.StartedYes, fmt.Sprintf("the result has %d bytes, there is room for %d", slot+1, slot)},
			{"input too long", 4<<20 + 1, 0, s.never(t),
				invoke.ErrTooLarge, invoke.StartedNo, "the input has 4194305 bytes; the worker takes calls of 4194304"},
		} {
			f := s.register(t, c, test.name, test.f)
			for range 3 { // the slot and its memory are good for the next call
				_, err := c.Call(soon(t), f, make([]byte, test.in), out[:test.out])
				e := (*invoke.Error)(nil)
				require.ErrorAs(t, err, &e, test.name)
				require.ErrorIs(t, err, test.is, test.name)
				require.Equal(t, test.started, e.Started, test.name)
				require.Contains(t, e.Message, test.message, test.name)
			}
		}
		_, err := c.NewBuffer(3<<20, 1<<20+1)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		_, err = c.NewBuffer(-1, 0)
		require.Error(t, err)

		// Room that the worker cannot give: it gives what it has.
		room := make(chan int, 1)
		f := s.register(t, c, "room", func(_ context.Context, _, out []byte) (int, error) {
			room <- len(out)
			return 0, nil
		})
		_, err = c.Call(soon(t), f, make([]byte, 1<<20), make([]byte, 8<<20))
		require.NoError(t, err)
		require.Equal(t, 3<<20, receive(t, room))
		_, err = c.Call(soon(t), f, make([]byte, 4<<20), make([]byte, 8<<20))
		require.NoError(t, err)
		require.Equal(t, slot, receive(t, room))
		_, err = c.Call(soon(t), f, nil, make([]byte, 100<<10))
		require.NoError(t, err)
		require.Equal(t, 100<<10, receive(t, room))
		_, err = c.Go(soon(t), f, nil, invoke.CallOptions{Room: 100 << 10})
		require.NoError(t, err)
		require.Equal(t, 100<<10, receive(t, room))
	})
}

// TestNoLargeCalls: a worker that takes none says so, with numbers, and a caller
// who offers more room than a slot has what a slot has.
func TestNoLargeCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{CallBytes: -1})
		c := s.dial(t, invoke.ClientConfig{})
		require.Zero(t, c.RendezvousBytes())
		echo := find(t, c, "echo")
		_, err := c.Call(soon(t), echo, make([]byte, slot+1), nil)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		require.ErrorContains(t, err, "the input has 65537 bytes, a slot holds 65536, and the worker takes no calls beyond the slots")
		n, err := c.Call(soon(t), echo, []byte("small"), make([]byte, 1<<20))
		require.NoError(t, err)
		require.Equal(t, 5, n)
	})
}

// TestRendezvousMemory: what the worker has for large calls is bounded, told, reused,
// and given back.
func TestRendezvousMemory(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const large = 1 << 20
		s := serve(t, url, invoke.WithWorkerMemoryIdle(invoke.WorkerConfig{CallBytes: large, ClientBytes: 2 * large, TotalBytes: 2 * large}, time.Millisecond))
		cfg := invoke.WithClientMemoryIdle(invoke.ClientConfig{}, time.Millisecond)
		c, other := s.dial(t, cfg), s.dial(t, cfg)
		f, theirs := find(t, c, "noop"), find(t, other, "noop")
		inventory := len(s.dev.Inventory())

		in := make([]byte, large)
		var futures []invoke.Future
		for range 5 { // more than one client's share: they wait for each other
			future, err := c.Go(soon(t), f, in)
			require.NoError(t, err)
			futures = append(futures, future)
		}
		for _, future := range futures {
			_, err := future.Wait(soon(t), nil)
			require.NoError(t, err)
		}
		_, err := other.Call(soon(t), theirs, in, nil) // what nobody uses is no obstacle
		require.NoError(t, err)
		eventually(t, "memory to be given back", func() bool { return len(s.dev.Inventory()) == inventory })

		require.True(t, s.worker.ReserveMemory(large+1))
		before := s.worker.Stats().Calls
		_, err = other.Call(soon(t), theirs, in, nil)
		require.ErrorIs(t, err, invoke.ErrBusy)
		e := (*invoke.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Equal(t, invoke.StartedNo, e.Started)
		require.ErrorContains(t, err, "no memory for 1048576 bytes of input and 65536 of result")
		require.ErrorContains(t, err, "1048577 bytes of 2097152 (TotalBytes) are in use")
		require.Equal(t, before, s.worker.Stats().Calls)
		require.True(t, s.worker.ReserveMemory(-large-1))
		_, err = other.Call(soon(t), theirs, in, nil)
		require.NoError(t, err, "there is memory again")
		require.NoError(t, c.Close())
		require.NoError(t, other.Close())
		eventually(t, "all of it to be free", func() bool { return s.worker.ReserveMemory(2 * large) })
	})
}

// Nothing is kept where nothing shall be.
func TestNoSpareMemory(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{SpareBytes: -1})
		before := len(s.dev.Inventory())
		for range 3 {
			b, err := c.NewBuffer(1<<20, 0)
			require.NoError(t, err)
			require.NoError(t, b.Close())
			require.Len(t, s.dev.Inventory(), before)
		}
	})
}

// TestBuffersReuseMemory: a buffer of a size that was there before costs no
// registration.
func TestBuffersReuseMemory(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{SpareBytes: 4 << 20})
		echo := find(t, c, "echo")
		b, err := c.NewBuffer(1<<20-100, 0)
		require.NoError(t, err)
		memory := &b.In()[0]
		require.NoError(t, b.Close())
		require.NoError(t, b.Close(), "again")
		require.Nil(t, b.In())
		require.ErrorContains(t, b.Go(soon(t), echo, 0), "the buffer is closed")
		inventory := len(s.dev.Inventory())
		for i := range 100 {
			b, err := c.NewBuffer(1<<20-i, 0)
			require.NoError(t, err)
			require.Same(t, memory, &b.In()[0])
			for j := range b.In()[:200] { // also where the header of a smaller one would be
				b.In()[j] = 0xFF
			}
			result, err := b.Call(soon(t), echo, 100)
			require.NoError(t, err)
			require.Len(t, result, 100)
			require.NoError(t, b.Close())
		}
		require.Len(t, s.dev.Inventory(), inventory)

		// No more is kept than was asked for.
		var buffers []*invoke.Buffer
		for range 10 {
			b, err := c.NewBuffer(1<<20, 0)
			require.NoError(t, err)
			buffers = append(buffers, b)
		}
		for _, b := range buffers {
			require.NoError(t, b.Close())
		}
		require.LessOrEqual(t, len(s.dev.Inventory()), inventory+3)
		n, err := c.Call(soon(t), echo, []byte("fine"), make([]byte, 4))
		require.NoError(t, err)
		require.Equal(t, 4, n)
	})
}

// TestRendezvousFatalFaults: connections that fail in the middle of large calls end
// with the right error, and leave nothing.
func TestRendezvousFatalFaults(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		lost := 0
		for seed := range scaled(12) {
			s := serve(t, fmt.Sprintf("faulty+%s?seed=%d&status=0.01&disconnect=0.01&queue-full=0.1&hold=0.1&wake=0.1", url, seed), invoke.WorkerConfig{})
			for range 5 {
				c, err := invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{Slots: 3})
				require.NoError(t, err)
				in, out := pattern(900<<10, 1), make([]byte, 900<<10)
				echo, err := c.Function(soon(t), "echo")
				for i := 0; err == nil && i < 20; i++ {
					var n int
					if n, err = c.Call(soon(t), echo, in, out); err == nil {
						require.True(t, bytes.Equal(in, out[:n]), "seed %d", seed)
					}
				}
				if err != nil {
					require.ErrorIs(t, err, invoke.ErrWorkerGone, "seed %d", seed)
					lost++
				}
				require.NoError(t, c.Close())
			}
			eventually(t, "the clients to be gone", func() bool { return s.worker.Stats().Clients == 0 })
			require.NoError(t, s.worker.Close())
			s.ended(t)
		}
		require.Positive(t, lost)
	})
}

// TestDrainDuringLargeCalls: what was executed is answered before Drain, and
// before Close, is done.
func TestDrainDuringLargeCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		size := scaled(32 << 20)
		for _, how := range []func(s *stand) error{
			func(s *stand) error { return s.worker.Drain(soon(t)) },
			func(s *stand) error { return s.worker.Close() },
		} {
			s := serve(t, url, invoke.WorkerConfig{})
			c := s.dial(t, invoke.ClientConfig{})
			entered := make(chan struct{}, 1)
			f := s.register(t, c, "zeros", func(_ context.Context, _, out []byte) (int, error) {
				entered <- struct{}{}
				return len(out), nil
			})
			future, err := c.Go(soon(t), f, nil, invoke.CallOptions{Room: size})
			require.NoError(t, err)
			receive(t, entered)
			require.NoError(t, how(s))
			n, err := future.Wait(soon(t), make([]byte, size))
			require.NoError(t, err)
			require.Equal(t, size, n)
		}
	})
}
