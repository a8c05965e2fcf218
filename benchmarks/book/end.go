package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/pflag"
)

// endName is the first argument of a process that is an end of a peer's measurement.
const endName = "end"

// What an end measures.
const (
	testLatency = "latency" // round trips, one at a time
	testRate    = "rate"    // operations a second, several in flight
	testStream  = "stream"  // bytes a second
)

// protocol is a way for two processes to talk.
type protocol struct {
	// serve answers until it is ended.
	serve func(l net.Listener, e *endConfig) error
	// dial makes a connection. dial is called once for each worker.
	dial func(e *endConfig) (caller, error)
}

// caller is a connection to a server.
type caller interface {
	// call sends one message and waits for the answer.
	call() error
	// calls does that n times, and keeps depth of them in flight.
	calls(n, depth int) error
}

// streamDepth is how many calls are in flight when bytes count: as in invoke-bw.
const streamDepth = 16

// streamer is a caller that can send without answers.
type streamer interface {
	// stream sends n messages, and returns when the server has them all.
	stream(n int) error
}

var protocols = map[string]protocol{
	"socket": socketProtocol,
	"netrpc": rpcProtocol,
	"grpc":   grpcProtocol,
}

// endConfig is what the arguments of an end say.
type endConfig struct {
	over, test, network, address     string
	size, iterations, depth, workers int
}

func (e *endConfig) setting() setting { return setting{iterations: e.iterations} }

// runEnd is one end of a measurement: "serve" has its listener as descriptor 3, and
// "measure" prints an outcome.
func runEnd(args []string, out io.Writer) error {
	e := &endConfig{}
	flags := pflag.NewFlagSet(endName, pflag.ContinueOnError)
	flags.StringVar(&e.over, "over", "", "protocol")
	flags.StringVar(&e.test, "test", testLatency, "what to measure")
	flags.StringVar(&e.network, "network", "unix", "network of the address")
	flags.StringVar(&e.address, "address", "", "of the server")
	flags.IntVar(&e.size, "size", 64, "bytes of a message")
	flags.IntVar(&e.iterations, "iterations", 1, "operations")
	flags.IntVar(&e.depth, "depth", 1, "operations in flight")
	flags.IntVar(&e.workers, "workers", 1, "connections")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, ok := protocols[e.over]
	if !ok {
		return fmt.Errorf("--over %q: there is no such protocol", e.over)
	}
	e.depth, e.workers = max(e.depth, 1), max(e.workers, 1)
	if e.size < 1 || e.iterations < 1 {
		return errors.New("--size and --iterations must be at least 1")
	}
	switch flags.Arg(0) {
	case "serve":
		return serveEnd(p, e)
	case "measure":
		o, err := measureEnd(p, e)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(o)
	}
	return errors.New("an end either serves or measures")
}

func serveEnd(p protocol, e *endConfig) error {
	file := os.NewFile(3, "listener")
	l, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("descriptor 3: %w", err)
	}
	defer l.Close()
	return p.serve(l, e)
}

// measureEnd does the operations, first those that do not count.
func measureEnd(p protocol, e *endConfig) (o outcome, err error) {
	var connections []caller
	for range e.workers {
		c, err := p.dial(e)
		if err != nil {
			return o, err
		}
		connections = append(connections, c)
	}
	warmup := e.setting().warmup()
	c := connections[0]
	switch e.test {
	case testLatency:
		return timeCalls(c, warmup, e.iterations)
	case testRate:
		do := func(n int) error { return share(connections, n, e.depth) }
		return timeAll(do, warmup, e.iterations)
	case testStream:
		if s, ok := c.(streamer); ok {
			return timeAll(s.stream, warmup, e.iterations)
		}
		return timeAll(func(n int) error { return c.calls(n, streamDepth) }, warmup, e.iterations)
	}
	return o, fmt.Errorf("--test %q: there is no such test", e.test)
}

func timeAll(do func(n int) error, warmup, n int) (o outcome, err error) {
	if err := do(warmup); err != nil {
		return o, err
	}
	begin := time.Now()
	err = do(n)
	o.NS = int64(time.Since(begin))
	return o, err
}

// share divides n operations among connections, at the same time.
func share(connections []caller, n, depth int) error {
	errs := make([]error, len(connections))
	var all sync.WaitGroup
	for i, c := range connections {
		part := n*(i+1)/len(connections) - n*i/len(connections)
		all.Go(func() { errs[i] = c.calls(part, depth) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// longestSample is in nanoseconds; more counts as it.
const longestSample = 60e9

// timeCalls times each call. The end of one is the beginning of the next one, as in
// package benchmarks: one reading of the clock each.
func timeCalls(c caller, warmup, n int) (o outcome, err error) {
	h := hdrhistogram.New(1, longestSample, 4)
	epoch := time.Now()
	for _, round := range []int{warmup, n} {
		h.Reset()
		last := time.Since(epoch)
		o.NS = -int64(last)
		for range round {
			if err := c.call(); err != nil {
				return o, err
			}
			now := time.Since(epoch)
			_ = h.RecordValue(min(int64(now-last), longestSample)) // within its range: no error
			last = now
		}
		o.NS += int64(last)
	}
	o.Bars = barsOf(h)
	return o, nil
}

// barsOf lists what was recorded, in ascending order.
func barsOf(h *hdrhistogram.Histogram) (bars []bar) {
	for _, b := range h.Distribution() {
		if b.Count > 0 {
			bars = append(bars, bar{From: b.From, To: b.To, Count: b.Count})
		}
	}
	return bars
}
