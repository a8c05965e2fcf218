package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/transport"
)

// plate is two grids, which take turns, and the workers that help.
type plate struct {
	memory         *invoke.Memory
	workers        *client.Client // nil: there are none
	helpers        int
	now, next      grid
	offloaded, own int // blocks
}

func newPlate(ctx context.Context, device *transport.Device, n int, workers []string) (*plate, error) {
	memory, err := invoke.NewMemory(device)
	if err != nil {
		return nil, err
	}
	p := &plate{memory: memory, helpers: len(workers)}
	for _, g := range []*grid{&p.now, &p.next} {
		bytes, err := memory.Alloc(n * n * 8)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		*g = grid{bytes, n}
		g.heat()
	}
	if len(workers) > 0 {
		p.workers, err = client.DialWith(ctx, device, client.Config{Memory: memory, MaxDials: 3}, workers...)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

func (p *plate) close() error {
	if p.workers != nil {
		p.workers.Close()
	}
	return p.memory.Close()
}

const (
	// sweepsEach is how many sweeps a block is computed for at once: with more, more rows at
	// its edges are computed twice; with fewer, rows travel more often.
	sweepsEach = 16
	// blocksEach is how many blocks there are for each who computes: with several, the
	// fast do more of them.
	blocksEach = 4
)

// solve does so many sweeps.
func (p *plate) solve(ctx context.Context, sweeps int) error {
	for ; sweeps > 0; sweeps -= sweepsEach {
		if err := p.batch(ctx, min(sweeps, sweepsEach)); err != nil {
			return err
		}
		p.now, p.next = p.next, p.now
	}
	return nil
}

// batch computes all rows of the next grid. Workers take blocks from the one end, this process
// from the other, until they meet.
func (p *plate) batch(ctx context.Context, sweeps int) error {
	n, count := p.now.n, min(p.now.n, blocksEach*(p.helpers+1))
	var blocks []block
	for i := range count {
		blocks = append(blocks, block{n: n, sweeps: sweeps, from: i * n / count, to: (i + 1) * n / count})
	}
	var mu sync.Mutex
	take := func(end int) (b block, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(blocks) == 0 {
			return b, false
		}
		if end == 0 {
			b, blocks = blocks[0], blocks[1:]
		} else {
			b, blocks = blocks[len(blocks)-1], blocks[:len(blocks)-1]
		}
		return b, true
	}
	var helping sync.WaitGroup
	var offloaded, own atomic.Int64
	for range p.helpers {
		b, ok := take(0)
		helping.Go(func() {
			for ; ok; b, ok = take(0) {
				if p.offload(ctx, b) == nil {
					offloaded.Add(1)
					continue
				}
				p.compute(b) // there is no worker any more
				own.Add(1)
				return
			}
		})
	}
	for b, ok := take(1); ok && ctx.Err() == nil; b, ok = take(1) {
		p.compute(b)
		own.Add(1)
	}
	helping.Wait()
	p.offloaded += int(offloaded.Load())
	p.own += int(own.Load())
	return ctx.Err()
}

// offload has a worker compute a block: from the one grid into the other.
func (p *plate) offload(ctx context.Context, b block) error {
	_, err := p.workers.Call(ctx, "jacobi", p.now.rows(b.input()), p.next.rows(b.from, b.to), b.metadata())
	return err
}

func (p *plate) compute(b block) {
	b.compute(p.now.rows(b.input()), p.next.rows(b.from, b.to))
}
