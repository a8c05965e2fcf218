package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// plain is the textbook's way.
func plain(n, sweeps int) grid {
	now, next := grid{make([]byte, n*n*8), n}, grid{make([]byte, n*n*8), n}
	now.heat()
	next.heat()
	for range sweeps {
		for row := 1; row < n-1; row++ {
			for i := 1; i < n-1; i++ {
				store(next.bytes, row*n+i, (now.at(row-1, i)+now.at(row+1, i)+now.at(row, i-1)+now.at(row, i+1))/4)
			}
		}
		now, next = next, now
	}
	return now
}

// What workers and this process compute together is what one computes alone, to the last bit; also
// when a worker goes in the middle.
func TestSolve(t *testing.T) {
	t.Parallel()
	const n, sweeps = 200, 50
	want := plain(n, sweeps)
	for _, url := range []string{"shm:", "softroce:"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			device, err := transport.Open(url)
			require.NoError(t, err)
			defer device.Close()
			alone, err := newPlate(t.Context(), device, n, nil)
			require.NoError(t, err)
			require.NoError(t, alone.solve(t.Context(), sweeps))
			require.True(t, bytes.Equal(want.bytes, alone.now.bytes))
			require.NoError(t, alone.close())

			var workers []string
			var ends []func()
			for _, name := range []string{"one", "two"} {
				ctx, cancel := context.WithCancel(t.Context())
				worker, err := transport.Open(url)
				require.NoError(t, err)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					assert.NoError(t, work(ctx, worker, dir+"/"+name))
				}()
				workers = append(workers, "unix:"+dir+"/"+name)
				ends = append(ends, func() {
					cancel()
					<-ended
					worker.Close()
				})
			}
			var p *plate
			require.Eventually(t, func() bool { // workers are there soon
				p, err = newPlate(t.Context(), device, n, workers)
				return err == nil
			}, time.Minute, 10*time.Millisecond)
			defer p.close()
			require.NoError(t, p.solve(t.Context(), 2*sweepsEach))
			ends[0]()
			require.NoError(t, p.solve(t.Context(), sweeps-2*sweepsEach))
			require.True(t, bytes.Equal(want.bytes, p.now.bytes))
			require.NotZero(t, p.offloaded)
			ends[1]()
			require.NoError(t, p.solve(t.Context(), 10))
			require.True(t, bytes.Equal(plain(n, sweeps+10).bytes, p.now.bytes))
		})
	}
}
