package benchmarks

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
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
func playHonest(dev *transport.Device, address string) error {
	clients := make([]*honestClient, honestClients)
	for i := range clients {
		var err error
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
	var w *honestWindow
	return answerLines(func(line string) (any, error) {
		switch least, found := strings.CutPrefix(line, "window "); {
		case found:
			n, err := strconv.Atoi(least)
			w = openWindow(clients, n/len(clients))
			return nil, err
		case line == "called?" && len(w.errs) == 0:
			return w.called.Load(), nil
		}
		return w.close()
	})
}

// honestWindow is one that is open: each client makes at least so many calls, and goes on
// until it is enough.
type honestWindow struct {
	start   time.Time
	called  atomic.Int64 // by all of them
	enough  atomic.Bool
	calling sync.WaitGroup
	records []*samples
	errs    chan error
}

func openWindow(clients []*honestClient, least int) *honestWindow {
	w := &honestWindow{start: time.Now(), errs: make(chan error, len(clients))}
	for _, c := range clients {
		record := newSamples()
		w.records = append(w.records, record)
		w.calling.Go(func() {
			for n := 0; n < least || !w.enough.Load(); n++ {
				before := clock()
				if err := c.call(); err != nil {
					w.errs <- err
					return
				}
				record.add(clock() - before)
				w.called.Add(1)
			}
		})
	}
	return w
}

func (w *honestWindow) close() (sum soakWindow, err error) {
	w.enough.Store(true)
	w.calling.Wait()
	sum.Wall = time.Since(w.start)
	select {
	case err := <-w.errs:
		return sum, err
	default:
	}
	for _, r := range w.records[1:] {
		w.records[0].merge(r)
	}
	trips := w.records[0].roundTrips()
	sum.Calls, sum.P50, sum.P99 = int(w.records[0].histogram.TotalCount()), trips.P50, trips.P99
	return sum, nil
}

// calls has the honest clients make so many calls, and further ones until meanwhile has
// returned.
func (p *soakProcess) calls(t *testing.T, least int, meanwhile func()) (w soakWindow) {
	t.Helper()
	p.tell(t, fmt.Sprint("window ", least))
	meanwhile()
	p.tell(t, "enough")
	p.answer(t, &w)
	return w
}

// called is how many calls the honest clients have made in this window.
func (p *soakProcess) called(t *testing.T) (n int) {
	t.Helper()
	p.tell(t, "called?")
	p.answer(t, &n)
	return n
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
