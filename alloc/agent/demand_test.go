package agent

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// machine is one whose load a test says.
type machine struct {
	loadSample
	d *demand
}

func newMachine(yield float64, most int) *machine {
	m := &machine{d: newDemand(yield, most, 5*time.Second)}
	m.d.add(m.loadSample)
	return m
}

// pass lets a second go by in which others and the agent use so many cores.
func (m *machine) pass(others, own float64) (mean float64) {
	m.at += time.Second
	m.used += time.Duration((others + own) * float64(time.Second))
	m.own += time.Duration(own * float64(time.Second))
	return m.d.add(m.loadSample)
}

func TestDemand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		yield       float64
		first, then float64 // cores that others use, for so long that the mean is that
		up, down    int     // cores for the owner
	}{
		{"idle", 1, 0, 0, 0, 0},
		{"as much as is allowed", 1, 1, 1, 0, 0},
		{"a little more takes a whole core", 1, 1.1, 1.1, 1, 1},
		{"each core beyond takes another", 1, 2.5, 2.5, 2, 2},
		{"no more than there are", 1, 60, 60, 4, 4},
		{"less, but within the margin", 1, 2.1, 1.8, 2, 2},
		{"less, and beyond the margin", 1, 2.1, 1.7, 2, 1},
		{"all come back", 1, 3.5, 0.7, 3, 0},
		{"the last one comes back at half of a small load", 0.2, 0.3, 0.11, 1, 1},
		{"and below", 0.2, 0.3, 0.09, 1, 0},
		{"0 allowed: no machine is quite idle", 0, 0.09, 0.09, 0, 0},
		{"0 allowed: any real load", 0, 0.2, 0.04, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, own := range []float64{0, 3} { // what the agent itself uses is no demand
				m := newMachine(c.yield, 4)
				for range 5 {
					m.pass(c.first, own)
				}
				require.Equal(t, c.up, m.d.cores)
				for range 5 {
					m.pass(c.then, own)
				}
				require.Equal(t, c.down, m.d.cores)
			}
		})
	}
}

// The mean is of the window, no more and no less.
func TestDemandWindow(t *testing.T) {
	t.Parallel()
	m := newMachine(1, 4)
	for range 4 {
		require.Zero(t, m.pass(4, 0))
		require.Zero(t, m.d.cores, "the first seconds say nothing")
	}
	require.InDelta(t, 4, m.pass(4, 0), 1e-6)
	require.Equal(t, 3, m.d.cores)
	for s := range 5 {
		require.InDelta(t, 4-0.8*float64(s+1), m.pass(0, 0), 1e-6)
	}
	require.Zero(t, m.d.cores)
	require.LessOrEqual(t, len(m.d.samples), 6)

	m.at += time.Hour // it slept, and the counters with it
	require.Zero(t, m.d.add(m.loadSample))
	m.own += time.Minute // read before what it is a part of
	m.at += time.Second
	require.Zero(t, m.d.add(m.loadSample), "never negative")
}

// Load that varies around a threshold takes a core once, and does not give it back.
func TestDemandDoesNotFlap(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for threshold := range 4 {
		m := newMachine(1, 8)
		load := 1 + float64(threshold)
		changes, last := 0, 0
		for range 1000 {
			m.pass(load+0.2*(2*r.Float64()-1), 2*r.Float64())
			if m.d.cores != last {
				changes, last = changes+1, m.d.cores
			}
		}
		require.LessOrEqual(t, changes, 2, "there, and one more")
		require.GreaterOrEqual(t, last, threshold)
		require.LessOrEqual(t, last, threshold+1)
	}
}
