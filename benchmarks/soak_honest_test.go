package benchmarks

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

const (
	honestClients = 4
	soakPayload   = 64
	soakLarge     = 1 << 20
)

// soakWindow is what the honest clients saw for a time.
type soakWindow struct {
	Calls    int
	Wall     time.Duration
	P50, P99 int64 // ns
}

// honestClient is one of them.
type honestClient struct {
	*invoke.Client
	echo    *invoke.Handle
	in, out []byte
	calls   uint64
}

// dialSoak connects to the worker.
func dialSoak(dev *transport.Device, address string) (*honestClient, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := invoke.Dial(ctx, dev, "unix", address, invoke.ClientConfig{Mode: invoke.Warm})
	if err != nil {
		return nil, err
	}
	echo, err := c.Function(ctx, "echo")
	if err != nil {
		c.Close()
		return nil, err
	}
	return &honestClient{Client: c, echo: echo, in: make([]byte, soakPayload), out: make([]byte, soakPayload)}, nil
}

// call sends what was not sent before, and wants it back.
func (c *honestClient) call() error {
	c.calls++
	binary.NativeEndian.PutUint64(c.in, c.calls)
	return c.roundTrip(c.in, c.out)
}

// large is a call beyond the slots.
func (c *honestClient) large() error {
	in := make([]byte, soakLarge)
	for i := 0; i < len(in); i += 4096 {
		binary.NativeEndian.PutUint64(in[i:], uint64(i)+c.calls)
	}
	return c.roundTrip(in, make([]byte, soakLarge))
}

func (c *honestClient) roundTrip(in, out []byte) error {
	n, err := c.Call(context.Background(), c.echo, in, out)
	if err == nil && !bytes.Equal(in, out[:n]) {
		err = fmt.Errorf("call %d of %d bytes: other bytes came back", c.calls, len(in))
	}
	return err
}

// playHonest makes the calls of windows.
func playHonest(address string) error {
	dev, err := transport.Open("shm:")
	if err != nil {
		return err
	}
	clients := make([]*honestClient, honestClients)
	for i := range clients {
		if clients[i], err = dialSoak(dev, address); err != nil {
			return err
		}
		if err := clients[i].large(); err != nil { // the worker has memory for one from now on
			return err
		}
		for range 1000 {
			if err := clients[i].call(); err != nil {
				return err
			}
		}
	}
	enough := new(atomic.Bool)
	windows := make(chan soakWindow, 1)
	errs := make(chan error, 1)
	return answerLines(func(line string) (any, error) {
		least, found := strings.CutPrefix(line, "window ")
		if found {
			var n int
			if _, err := fmt.Sscan(least, &n); err != nil {
				return nil, err
			}
			enough.Store(false)
			go func() {
				w, err := honestWindow(clients, n, enough)
				errs <- err
				windows <- w
			}()
			return nil, nil
		}
		enough.Store(true)
		return <-windows, <-errs
	})
}

// honestWindow makes at least so many calls, and goes on until it is enough.
func honestWindow(clients []*honestClient, least int, enough *atomic.Bool) (soakWindow, error) {
	records, errs := make([]*samples, len(clients)), make([]error, len(clients))
	counts := make([]int, len(clients))
	start := time.Now()
	var calling sync.WaitGroup
	for i, c := range clients {
		records[i] = newSamples()
		calling.Go(func() {
			for errs[i] == nil && (counts[i] < least/len(clients) || !enough.Load()) {
				before := clock()
				errs[i] = c.call()
				records[i].add(clock() - before)
				counts[i]++
			}
		})
	}
	calling.Wait()
	w := soakWindow{Wall: time.Since(start)}
	for i := range clients {
		w.Calls += counts[i]
		if i > 0 {
			records[0].merge(records[i])
		}
	}
	trips := records[0].roundTrips()
	w.P50, w.P99 = trips.P50, trips.P99
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return w, errs[i]
	}
	return w, nil
}

// calls has the honest clients make so many calls, and further ones until meanwhile has
// returned.
func (p *soakProcess) calls(t *testing.T, least int, meanwhile func()) (w soakWindow) {
	t.Helper()
	p.tell(t, fmt.Sprint("window ", least))
	if meanwhile != nil {
		meanwhile()
	}
	p.tell(t, "enough")
	p.answer(t, &w)
	return w
}

// several has eight calls under way at once, among them a large one if that is wanted.
func (c *honestClient) several(large bool) error {
	var futures [8]invoke.Future
	ctx := context.Background()
	for i := range futures {
		in, o := c.in, invoke.CallOptions{}
		if large && i == 0 {
			in, o.Room = make([]byte, soakLarge), soakLarge
		}
		var err error
		if futures[i], err = c.Go(ctx, c.echo, in, o); err != nil {
			return err
		}
	}
	time.Sleep(time.Millisecond)
	for i := range futures {
		out := c.out
		if large && i == 0 {
			out = make([]byte, soakLarge)
		}
		if _, err := futures[i].Wait(ctx, out); err != nil {
			return err
		}
	}
	return nil
}
