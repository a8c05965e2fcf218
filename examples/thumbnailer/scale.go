package thumbnailer

import (
	"context"
	"fmt"
	"image"
	"math"

	"golang.org/x/image/draw"
)

// MaxThumbnail is the largest width and height of a thumbnail, in pixels.
const MaxThumbnail = 200

// averaged is how many times larger than the thumbnail a picture at least
// remains after its pixels were averaged in boxes. From three times on the filter
// that does the rest decides how the thumbnail looks; TestBoxesDoNotShow holds it
// to that.
const averaged = 3

// fit returns the size of the thumbnail of a picture of that size, at least 1x1:
// as large as MaxThumbnail allows, and no larger than the picture.
func fit(size image.Point) image.Point {
	shrink := min(1, MaxThumbnail/float64(max(size.X, size.Y)))
	side := func(pixels int) int { return max(1, int(math.Round(float64(pixels)*shrink))) }
	return image.Pt(side(size.X), side(size.Y))
}

// scale returns the picture, on white, in that size, which must be at least 1x1
// and no larger than the picture in either direction. It fails if ctx ends.
//
// Most of the reduction is done by averaging boxes of whole pixels, in integers;
// the bicubic filter does the rest. The filter alone takes four times as long on
// a picture of 12 megapixels: see BenchmarkScale.
func scale(ctx context.Context, picture image.Image, size image.Point) (*image.RGBA, error) {
	boxes := func(pixels, wanted int) int { return pixels / max(1, pixels/(averaged*wanted)) }
	reducedSize := image.Pt(boxes(picture.Bounds().Dx(), size.X), boxes(picture.Bounds().Dy(), size.Y))
	reduced, err := averageBoxes(ctx, picture, reducedSize)
	if err != nil {
		return nil, err
	}
	if reducedSize == size {
		return reduced, nil
	}
	small := image.NewRGBA(image.Rectangle{Max: size})
	draw.CatmullRom.Scale(small, small.Rect, reduced, reduced.Rect, draw.Src, nil)
	return small, nil
}

// averageBoxes divides the picture, on white, into size.X times size.Y boxes as
// equal as whole pixels allow, and returns their average colours.
func averageBoxes(ctx context.Context, picture image.Image, size image.Point) (*image.RGBA, error) {
	bounds := picture.Bounds()
	width, height := bounds.Dx(), bounds.Dy()
	rowsPerBox := (height + size.Y - 1) / size.Y

	averages := image.NewRGBA(image.Rectangle{Max: size})
	strip := image.NewRGBA(image.Rect(0, 0, width, rowsPerBox))
	for row := range size.Y {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("stopped while scaling: %w", err)
		}
		top, bottom := row*height/size.Y, (row+1)*height/size.Y
		// A strip of pixels at a time is converted to one format, which costs little
		// memory and leaves all others to the draw package.
		area := image.Rect(0, 0, width, bottom-top)
		draw.Draw(strip, area, image.White, image.Point{}, draw.Src)
		draw.Draw(strip, area, picture, bounds.Min.Add(image.Pt(0, top)), draw.Over)
		averageStrip(averages.Pix[row*averages.Stride:][:4*size.X], strip, area.Dy())
	}
	return averages, nil
}

// averageStrip stores in averages, opaque RGBA pixels, the average colours of as
// many boxes side by side in the first rows of strip.
func averageStrip(averages []byte, strip *image.RGBA, rows int) {
	width, boxes := strip.Rect.Dx(), len(averages)/4
	for box := range boxes {
		left, right := box*width/boxes, (box+1)*width/boxes
		// No overflow: a box has some hundred pixels a side, with MaxSide as it is.
		var red, green, blue uint32
		for row := range rows {
			pixels := strip.Pix[row*strip.Stride:][4*left : 4*right]
			for ; len(pixels) >= 4; pixels = pixels[4:] {
				red += uint32(pixels[0])
				green += uint32(pixels[1])
				blue += uint32(pixels[2])
			}
		}
		count := uint32(rows * (right - left))
		average := averages[4*box:][:4]
		average[0] = uint8((red + count/2) / count)
		average[1] = uint8((green + count/2) / count)
		average[2] = uint8((blue + count/2) / count)
		average[3] = 0xFF
	}
}
