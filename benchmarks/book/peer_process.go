package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rfaas-go/rfaas/benchmarks"
)

const processStart = "process, Unix socket"

// processPeer starts a process of this program for each answer.
type processPeer struct {
	about
	machine *machine
}

func (p *processPeer) find(context.Context) (string, error) { return runtime.Version(), nil }

func (p *processPeer) words(s setting, program string) []string {
	return []string{program, endName, "serve", "--over", "socket", "--size", fmt.Sprint(s.size)}
}

func (p *processPeer) command(s setting) string {
	return benchmarks.ShellWords(p.words(s, "book")...) + "  (benchmarks/book/peer_process.go)"
}

func (p *processPeer) measure(ctx context.Context, s setting) (figure, error) {
	h := hdrhistogram.New(1, longestSample, 4)
	for i := range 1 + s.iterations {
		took, err := p.once(s)
		if err != nil {
			return figure{}, err
		}
		if ctx.Err() != nil {
			return figure{}, context.Cause(ctx)
		}
		if i > 0 { // the first one fills caches, as in cold-start
			_ = h.RecordValue(min(int64(took), longestSample))
		}
	}
	return ofSamples(barsOf(h)), nil
}

// once is the time to one answer of a new process.
func (p *processPeer) once(s setting) (took time.Duration, err error) {
	begin := time.Now()
	listener, address, err := listen("unix")
	if err != nil {
		return 0, err
	}
	server, err := startChild(p.words(s, p.machine.program), nil, listener)
	listener.Close()
	if err != nil {
		return 0, err
	}
	defer server.end()
	c, err := net.Dial("unix", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	message := make([]byte, s.size)
	if err := c.SetDeadline(time.Now().Add(endsTimeout)); err != nil {
		return 0, err
	}
	if _, err := c.Write(message); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(c, message); err != nil {
		return 0, fmt.Errorf("the answer of a new process: %w", err)
	}
	return time.Since(begin), nil
}
