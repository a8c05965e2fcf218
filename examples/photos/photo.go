package photos

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"io"
)

const (
	// MaxSide is the largest width and height in pixels: JPEG has 16 bits.
	MaxSide = 65_535

	// MaxPixels bounds the memory that making a photograph takes, which is about
	// four bytes a pixel.
	MaxPixels = 128_000_000

	// quality is what cameras call "fine".
	quality = 92
)

// Photo describes a photograph. The zero value has no pixels; set its size.
type Photo struct {
	Width, Height int    // as stored, in pixels, before the orientation is applied
	Orientation   int    // the EXIF orientation, 1 to 8; 0 for a file without EXIF
	Seed          uint64 // chooses the scene
}

// Encode writes the photograph to w as a baseline 4:2:0 JPEG. The pixels are
// stored such that the picture is upright once the orientation is applied.
//
// It fails if the size is below 1x1, beyond [MaxSide] or [MaxPixels], if the
// orientation is none, or if w fails.
func (p Photo) Encode(w io.Writer) error {
	if err := checkSize(p.Width, p.Height); err != nil {
		return err
	}
	if p.Orientation < 0 || p.Orientation > 8 {
		return fmt.Errorf("photos: no orientation %d: want an EXIF orientation, 1 to 8, or 0 for none", p.Orientation)
	}

	width, height := p.Width, p.Height
	if swapsSides(p.Orientation) {
		width, height = height, width
	}
	upright := newScene(width, height, p.Seed).draw()

	var encoded bytes.Buffer
	if err := jpeg.Encode(&encoded, stored(upright, p.Orientation), &jpeg.Options{Quality: quality}); err != nil {
		return fmt.Errorf("photos: cannot encode: %w", err)
	}

	// EXIF wants its segment right behind the two bytes of the start-of-image marker.
	start, rest := encoded.Bytes()[:2], encoded.Bytes()[2:]
	for _, part := range [][]byte{start, p.exif(), rest} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// checkSize says whether a photograph of width x height pixels can be made.
func checkSize(width, height int) error {
	switch {
	case width < 1 || height < 1 || width > MaxSide || height > MaxSide:
		return fmt.Errorf("photos: no photograph has %dx%d pixels: want 1 to %d each way", width, height, MaxSide)
	case int64(width)*int64(height) > MaxPixels:
		return fmt.Errorf("photos: %dx%d are %.0f megapixels: want at most %d",
			width, height, float64(width)*float64(height)/1e6, MaxPixels/1_000_000)
	}
	return nil
}
