package photos

import (
	"image"
	"image/color"
	"math/rand/v2"
)

// ycc is a colour as JPEG stores it: brightness and two differences, 0 to 255.
type ycc struct{ y, cb, cr float32 }

// rgb converts a colour given the usual way, 0xRRGGBB.
func rgb(hex uint32) ycc {
	y, cb, cr := color.RGBToYCbCr(uint8(hex>>16), uint8(hex>>8), uint8(hex))
	return ycc{float32(y), float32(cb), float32(cr)}
}

// mix goes from a at t = 0 to b at t = 1.
func mix(a, b ycc, t float32) ycc {
	return ycc{lerp(a.y, b.y, t), lerp(a.cb, b.cb, t), lerp(a.cr, b.cr, t)}
}

// light is the mood of a day.
type light struct {
	zenith, haze ycc // the sky, high up and at the horizon
	cloud, sun   ycc
	far, near    ycc // the mountains, from the most distant to the closest
	meadow       ycc
}

// lights: whatever the hour, the sky is brighter than the meadow below it.
var lights = [...]light{
	{rgb(0x3F78C4), rgb(0xC6DCF0), rgb(0xFAFAFC), rgb(0xFFFDF0), rgb(0x93A9C4), rgb(0x33503A), rgb(0x5E7F32)}, // noon
	{rgb(0x4E5F9A), rgb(0xF2B277), rgb(0xF6CDB4), rgb(0xFFF0C0), rgb(0x9C7F92), rgb(0x3A2F3A), rgb(0x5A5530)}, // evening
	{rgb(0xA9B2BA), rgb(0xD9DDDF), rgb(0xEDEFF0), rgb(0xE6E8E8), rgb(0xA4AEB4), rgb(0x4A564C), rgb(0x66744A)}, // overcast
	{rgb(0x6FA6D8), rgb(0xF0E6DA), rgb(0xFFF6EE), rgb(0xFFFBE8), rgb(0xB3B7C8), rgb(0x5A6650), rgb(0x8A8F45)}, // morning
}

// scene is a landscape seen by a camera held upright. All lengths are in pixels.
type scene struct {
	light
	width, height float32
	horizon       float32 // the row at which the sky would end, were there no mountains
	meadowTop     float32 // the row from which on there is nothing but meadow and trees
	clouds        patch
	cover         float32 // how much of the sky the clouds leave free, 0 to 1
	sunX, sunY    float32
	sunRadius     float32
	ridges        []ridge // from the most distant to the closest
	ground        patch   // the scale is the foreground's
	trees         []tree
	noise         float32 // standard deviation of the grain, in levels of 255
	rng           *rand.Rand
}

// patch is a place in the texture, and how many of its samples a pixel takes.
type patch struct{ u, v, scale float32 }

// ridge is the outline of a chain of mountains.
type ridge struct {
	top   []float32 // the row at which it begins, for every column
	color ycc
	rock  patch
}

// tree is a round crown on a trunk.
type tree struct {
	x, foot, radius float32
	crown           ycc
}

// newScene composes the scene that seed chooses for a picture of that size.
func newScene(width, height int, seed uint64) *scene {
	rng := rand.New(rand.NewPCG(seed, 0))
	w, h := float32(width), float32(height)
	s := &scene{
		light:     lights[rng.IntN(len(lights))],
		width:     w,
		height:    h,
		horizon:   h * between(rng, 0.5, 0.62),
		clouds:    somewhere(rng, 300/max(w, h)),
		cover:     between(rng, 0.4, 0.6),
		sunX:      w * rng.Float32(),
		sunY:      h * between(rng, 0.05, 0.3),
		sunRadius: max(w, h) * between(rng, 0.015, 0.04),
		ground:    somewhere(rng, 250/max(w, h)),
		noise:     between(rng, 1, 3.5),
		rng:       rng,
	}
	s.meadowTop = s.horizon * 1.08
	s.raiseRidges(3 + rng.IntN(3))
	s.plantTrees(2 + rng.IntN(5))
	return s
}

// raiseRidges puts n mountain chains in front of each other; the closer, the
// lower, the rougher and the less veiled by haze.
func (s *scene) raiseRidges(n int) {
	noise := sharedTexture()
	for i := range n {
		distance := 1 - float32(i)/float32(n) // 1 for the most distant
		outline := somewhere(s.rng, 220/s.width)
		foot := lerp(s.meadowTop, s.horizon, distance)
		rise := s.height * lerp(0.14, 0.5, distance)
		top := make([]float32, int(s.width))
		for x := range top {
			top[x] = foot - rise*(noise.at(outline.u+float32(x)*outline.scale, outline.v)-0.3)
		}
		s.ridges = append(s.ridges, ridge{
			top:   top,
			color: mix(s.near, s.far, distance),
			rock:  somewhere(s.rng, 700/max(s.width, s.height)),
		})
	}
}

// plantTrees puts n trees on the meadow, the most distant first.
func (s *scene) plantTrees(n int) {
	for i := range n {
		closeness := (float32(i) + s.rng.Float32()) / float32(n)
		s.trees = append(s.trees, tree{
			x:      s.width * s.rng.Float32(),
			foot:   lerp(s.horizon*1.15, s.height*0.95, closeness),
			radius: s.height * lerp(0.03, 0.11, closeness),
			crown:  mix(s.near, s.meadow, s.rng.Float32()*0.5),
		})
	}
}

// somewhere returns a random place in the texture.
func somewhere(rng *rand.Rand, scale float32) patch {
	return patch{rng.Float32() * textureSize, rng.Float32() * textureSize, scale}
}

func between(rng *rand.Rand, low, high float32) float32 { return lerp(low, high, rng.Float32()) }

// draw takes the picture, one row at a time, from the back to the front.
func (s *scene) draw() *image.YCbCr {
	width, height := int(s.width), int(s.height)
	picture := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	row := make([]ycc, width)
	for y := range height {
		if float32(y) < s.meadowTop {
			s.paintSky(row, float32(y))
			s.paintRidges(row, float32(y))
		} else {
			s.paintMeadow(row, float32(y))
		}
		s.paintTrees(row, float32(y))
		s.expose(picture, row, y)
	}
	return picture
}
