package main

import (
	"encoding/binary"
	"math"
)

// grid is rows of temperatures, as they travel: 8 bytes each, little-endian. The outermost ones stay
// as they are.
type grid struct {
	bytes []byte
	n     int // rows and columns
}

func (g grid) rows(from, to int) []byte { return g.bytes[from*g.n*8 : to*g.n*8] }

func (g grid) at(row, column int) float64 { return load(g.bytes, row*g.n+column) }

func load(b []byte, i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])) }

func store(b []byte, i int, x float64) { binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(x)) }

// heat makes the upper edge hot, and the left one hotter towards it.
func (g grid) heat() {
	for i := range g.n {
		store(g.bytes, i, 100)
		store(g.bytes, i*g.n, 100-100*float64(i)/float64(g.n-1))
	}
}

// mean is the mean temperature.
func (g grid) mean() float64 {
	sum := 0.0
	for i := range g.n * g.n {
		sum += load(g.bytes, i)
	}
	return sum / float64(g.n*g.n)
}

// block is rows of a grid that are to be computed, several sweeps at once.
type block struct {
	n, sweeps int
	from, to  int
}

// input is which rows that takes: each sweep needs one more at either side.
func (b block) input() (from, to int) {
	return max(0, b.from-b.sweeps), min(b.n, b.to+b.sweeps)
}

// compute makes each inner temperature the mean of its neighbours, in all rows that it can, as often as
// there are sweeps. in has the rows that input says, out gets those of the block.
func (b block) compute(in, out []byte) {
	first, end := b.input()
	now, next := append([]byte(nil), in...), append([]byte(nil), in...)
	for s := 1; s <= b.sweeps; s++ {
		from, to := max(1, first+s), min(b.n-1, end-s) // rows of which all neighbours are there
		if first == 0 {
			from = 1
		}
		if end == b.n {
			to = b.n - 1
		}
		for row := from; row < to; row++ {
			above := now[(row-1-first)*b.n*8:][:b.n*8]
			here := now[(row-first)*b.n*8:][:b.n*8]
			below := now[(row+1-first)*b.n*8:][:b.n*8]
			to := next[(row-first)*b.n*8:][:b.n*8]
			for i := 1; i < b.n-1; i++ {
				store(to, i, (load(above, i)+load(below, i)+load(here, i-1)+load(here, i+1))/4)
			}
		}
		now, next = next, now
	}
	copy(out, now[(b.from-first)*b.n*8:][:(b.to-b.from)*b.n*8])
}
