package photos

import (
	"math/rand/v2"
	"sync"
)

// grainSize is the number of grains in the table, a power of two.
const grainSize = 1 << 14

// grain is the noise of a camera's sensor: normally distributed, with a
// standard deviation of one level.
type grain [grainSize]float32

// sharedGrain is the one table of all photographs; each row of pixels starts at
// another place in it.
var sharedGrain = sync.OnceValue(func() *grain {
	rng := rand.New(rand.NewPCG(2, 2))
	table := new(grain)
	for i := range table {
		table[i] = float32(rng.NormFloat64())
	}
	return table
})

// at returns grain i, for any i of at least 0.
func (g *grain) at(i int) float32 { return g[i&(grainSize-1)] }
