package photos

import (
	"math/rand/v2"
	"sync"
)

// textureSize is the side of the texture in samples, a power of two.
const textureSize = 512

// texture is a square of fractal noise that repeats without a seam: clouds,
// ridges and meadows are all cut out of it, at different places and scales.
// Values lie in [0, 1], around one half.
type texture [textureSize * textureSize]float32

// sharedTexture is the one texture of all photographs; what differs between
// them is where they look at it.
var sharedTexture = sync.OnceValue(newTexture)

// newTexture adds up octaves of smooth noise, each twice as fine and a little
// more than half as strong as the one before.
func newTexture() *texture {
	const (
		coarsest    = 4 // lattice cells along a side, in the first octave
		persistence = 0.55
	)
	rng := rand.New(rand.NewPCG(1, 1))
	noise := new(texture)
	weight, total := float32(1), float32(0)
	for cells := coarsest; cells <= textureSize; cells *= 2 {
		addOctave(noise, cells, weight, rng)
		total += weight
		weight *= persistence
	}
	for i := range noise {
		noise[i] /= total
	}
	return noise
}

// addOctave adds noise with cells x cells random lattice points to sum,
// interpolated between them by a smooth step.
func addOctave(sum *texture, cells int, weight float32, rng *rand.Rand) {
	lattice := make([]float32, cells*cells)
	for i := range lattice {
		lattice[i] = rng.Float32()
	}
	step := textureSize / cells
	for y := range textureSize {
		top := lattice[y/step*cells:][:cells]
		bottom := lattice[(y/step+1)%cells*cells:][:cells]
		ty := smooth(float32(y%step) / float32(step))
		for x := range textureSize {
			left, right := x/step, (x/step+1)%cells
			tx := smooth(float32(x%step) / float32(step))
			sum[y*textureSize+x] += weight * lerp(
				lerp(top[left], top[right], tx),
				lerp(bottom[left], bottom[right], tx), ty)
		}
	}
}

// at returns the value at u, v in samples, both at least 0, interpolated
// between the four samples around it.
func (t *texture) at(u, v float32) float32 {
	const mask = textureSize - 1
	iu, iv := int(u), int(v)
	fu, fv := u-float32(iu), v-float32(iv)
	left, right := iu&mask, (iu+1)&mask
	top, bottom := iv&mask*textureSize, (iv+1)&mask*textureSize
	return lerp(lerp(t[top+left], t[top+right], fu), lerp(t[bottom+left], t[bottom+right], fu), fv)
}

func lerp(a, b, t float32) float32 { return a + (b-a)*t }

func smooth(t float32) float32 { return t * t * (3 - 2*t) }
