package photos

import (
	"image"
	"math"
)

// paintSky covers the whole row y with sky, clouds and sun.
func (s *scene) paintSky(row []ycc, y float32) {
	noise := sharedTexture()
	base := mix(s.zenith, s.haze, min(1, y/s.horizon))
	v := s.clouds.v + y*s.clouds.scale*2 // clouds are wider than high
	dy := (y - s.sunY) / s.sunRadius
	for x := range row {
		density := noise.at(s.clouds.u+float32(x)*s.clouds.scale, v)
		cloudiness := min(1, max(0, (density-s.cover)*5))
		dx := (float32(x) - s.sunX) / s.sunRadius
		glow := min(1, 1.2/(1+dx*dx+dy*dy))
		row[x] = mix(mix(base, s.sun, glow), s.cloud, cloudiness*(1-glow*0.5))
	}
}

// paintRidges covers what lies below the outline of each mountain chain.
func (s *scene) paintRidges(row []ycc, y float32) {
	noise := sharedTexture()
	for i := range s.ridges {
		r := &s.ridges[i]
		v := r.rock.v + y*r.rock.scale
		for x, top := range r.top {
			if y < top {
				continue
			}
			relief := noise.at(r.rock.u+float32(x)*r.rock.scale, v) - 0.5
			c := r.color
			c.y += relief*70 + detail(x, y)*5
			row[x] = c
		}
	}
}

// paintMeadow covers the whole row with grass, in perspective.
func (s *scene) paintMeadow(row []ycc, y float32) {
	const farther = 5 // times as many texture samples a pixel at the back as in the foreground
	length := s.height - s.meadowTop
	depth := (y - s.meadowTop) / length // 0 at the back, 1 at the front
	scale := s.ground.scale * lerp(farther, 1, depth)
	// The integral of scale over the rows above, so that nothing is sheared.
	v := s.ground.v + 2*s.ground.scale*length*depth*(farther-depth*(farther-1)/2)
	// The meadow vanishes in the middle; whole textures keep u above 0.
	u := s.ground.u + 2*textureSize - s.width/2*scale

	noise := sharedTexture()
	shade := lerp(10, -20, depth)
	for x := range row {
		grass := noise.at(u+float32(x)*scale, v) - 0.5
		c := s.meadow
		c.y += shade + grass*90 + detail(x, y)*8
		c.cb += grass * 20
		row[x] = c
	}
}

// paintTrees covers the part of the row that trunks and crowns take up.
func (s *scene) paintTrees(row []ycc, y float32) {
	noise := sharedTexture()
	for i := range s.trees {
		t := &s.trees[i]
		center := t.foot - 1.6*t.radius
		if y > center && y <= t.foot {
			fill(row, t.x-t.radius*0.1, t.x+t.radius*0.1, ycc{40, 122, 136})
		}
		dy := (y - center) / t.radius
		if dy < -1 || dy > 1 {
			continue
		}
		half := t.radius * float32(math.Sqrt(float64(1-dy*dy)))
		leaf := 60 / t.radius // texture samples a pixel: leaves are as fine on every tree
		left := t.x - half*(0.6+0.6*noise.at(t.x, y*leaf))
		right := t.x + half*(0.6+0.6*noise.at(t.foot, y*leaf))
		for x := max(0, int(left)); x < min(len(row), int(right)); x++ {
			leaves := noise.at(float32(x)*leaf, y*leaf) - 0.5
			c := t.crown
			c.y += leaves*120 - dy*18 + detail(x, y)*10 // lit from above
			row[x] = c
		}
	}
}

// detail returns noise as fine as the pixels, whatever the size of the picture:
// blades of grass, leaves and stones. It is normally distributed around 0.
func detail(x int, y float32) float32 {
	const rowsApart = 7919 // odd, so that the table is used up before rows repeat
	return sharedGrain().at(x + int(y)*rowsApart)
}

// fill paints the columns from left to right in one colour.
func fill(row []ycc, left, right float32, c ycc) {
	for x := max(0, int(left)); x < min(len(row), int(right)+1); x++ {
		row[x] = c
	}
}

// expose stores the row as samples of line y, darker towards the corners as a
// lens makes it, and with the sensor's noise. Every other pixel of every other
// line keeps its colour: 4:2:0.
func (s *scene) expose(picture *image.YCbCr, row []ycc, y int) {
	noise := sharedGrain()
	start := s.rng.IntN(grainSize)

	fromMiddleY := (float32(y) - s.height/2) / s.height
	luma := picture.Y[y*picture.YStride:][:len(row)]
	for x, c := range row {
		fromMiddleX := (float32(x) - s.width/2) / s.width
		vignette := 1 - 0.4*(fromMiddleX*fromMiddleX+fromMiddleY*fromMiddleY)
		luma[x] = level(c.y*vignette + s.noise*noise.at(start+x))
	}
	if y%2 != 0 {
		return
	}
	cb := picture.Cb[y/2*picture.CStride:]
	cr := picture.Cr[y/2*picture.CStride:]
	for x := 0; x < len(row); x += 2 {
		cb[x/2] = level(row[x].cb + s.noise*0.7*noise.at(start+x+grainSize/3))
		cr[x/2] = level(row[x].cr + s.noise*0.7*noise.at(start+x+grainSize/2))
	}
}

// level rounds v to the nearest sample value.
func level(v float32) uint8 { return uint8(min(255, max(0, v+0.5))) }
