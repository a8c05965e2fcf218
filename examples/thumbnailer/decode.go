package thumbnailer

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
)

// Limits of a picture. Its header is checked against them before any memory is
// allocated for pixels: a PNG of a few kilobytes may claim to be a square of a
// million pixels a side.
const (
	// MaxSide is the largest width and height in pixels: JPEG's own limit.
	MaxSide = 65_535

	// MaxPixels is the largest number of pixels, enough for the 108 megapixels of
	// a telephone's camera. One takes from 1.5 bytes (JPEG 4:2:0) to 8 (PNG with 16
	// bits a channel); a progressive JPEG up to 24 while it is decoded (CMYK).
	MaxPixels = 128_000_000
)

// decode returns the picture as it is stored, and its EXIF orientation, 1 to 8.
// The picture does not refer to in.
func decode(ctx context.Context, in []byte) (picture image.Image, orientation int, err error) {
	f, err := detect(in)
	if err != nil {
		return nil, 0, err
	}
	config, err := f.decodeConfig(bytes.NewReader(in))
	if err != nil {
		return nil, 0, explain(f, in, err)
	}
	if err := checkSize(f, config.Width, config.Height); err != nil {
		return nil, 0, err
	}
	picture, err = f.decode(&interruptible{ctx, bytes.NewReader(in)})
	if ctx.Err() != nil {
		return nil, 0, fmt.Errorf("stopped while decoding the %s: %w", f.name, ctx.Err())
	}
	if err != nil {
		return nil, 0, explain(f, in, err)
	}
	return picture, f.orientation(in), nil
}

// format is a picture format that the function reads.
type format struct {
	name         string
	decodeConfig func(io.Reader) (image.Config, error)
	decode       func(io.Reader) (image.Image, error)
	orientation  func(in []byte) int
}

var (
	formatJPEG = &format{"JPEG", jpeg.DecodeConfig, jpeg.Decode, exifOrientation}
	formatPNG  = &format{"PNG", png.DecodeConfig, png.Decode, func([]byte) int { return 1 }}
)

// checkSize says whether a picture of that size is decoded at all.
func checkSize(f *format, width, height int) error {
	switch {
	case width < 1 || height < 1:
		return fmt.Errorf("the %s has no pixels: its header says %dx%d", f.name, width, height)
	case width > MaxSide || height > MaxSide:
		return fmt.Errorf("the %s has %dx%d pixels, and only %d each way are allowed: scale it down or cut it up first",
			f.name, width, height, MaxSide)
	case int64(width)*int64(height) > MaxPixels:
		return fmt.Errorf("the %s has %.0f megapixels (%dx%d), and only %d are allowed: scale it down first",
			f.name, float64(width)*float64(height)/1e6, width, height, MaxPixels/1_000_000)
	}
	return nil
}

// explain words a decoder's error.
func explain(f *format, in []byte, err error) error {
	if isTruncation(err) {
		return fmt.Errorf("the %s is truncated: its %d bytes end before the picture does; send the whole file: %w",
			f.name, len(in), err)
	}
	return fmt.Errorf("the %s cannot be decoded; open it in an image viewer to see whether it is damaged: %w", f.name, err)
}

// isTruncation says whether a decoder met the end of its input. They have a
// sentence for it in every stage, and values to compare with for few.
func isTruncation(err error) bool {
	for _, sentence := range []string{"unexpected EOF", "short Huffman data", "not enough pixel data"} {
		if strings.Contains(err.Error(), sentence) {
			return true
		}
	}
	return false
}

// interruptible reads from r until ctx ends. The decoders know no contexts, but
// they read a few kilobytes at a time.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
