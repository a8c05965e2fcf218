package thumbnailer

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"testing"

	"github.com/rfaas-go/rfaas/examples/photos"
)

// FuzzFunction looks for pictures that make Function panic, write more than it
// says, or return something else than a thumbnail.
func FuzzFunction(f *testing.F) {
	photo := photograph(f, photos.Photo{Width: 20, Height: 12, Orientation: 6, Seed: 4})
	f.Add(photo, uint16(8192))
	f.Add(photo[:len(photo)-1], uint16(8192))
	f.Add(photo, uint16(100))
	f.Add(pngOf(f, image.NewNRGBA(image.Rect(0, 0, 9, 5))), uint16(8192))
	f.Add(pngOf(f, image.NewGray16(image.Rect(0, 0, 3, 300))), uint16(8192))
	f.Add(pngOf(f, image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black, color.Transparent})), uint16(8192))
	f.Add([]byte(pngHeader(20_000, 20_000)), uint16(8192))
	f.Add([]byte("GIF89a"), uint16(8192))

	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		if tooSlow(in) {
			t.Skip("a valid header of a picture so large that nothing else would be tried meanwhile")
		}
		out := make([]byte, size)
		n, err := Function(context.Background(), in, out)
		if n < 0 || n > len(out) {
			t.Fatalf("%d bytes written to a buffer of %d", n, len(out))
		}
		if err != nil {
			if n != 0 {
				t.Fatalf("%d bytes returned together with the error %v", n, err)
			}
			return
		}
		config, err := jpeg.DecodeConfig(bytes.NewReader(out[:n]))
		if err != nil {
			t.Fatalf("the result is no JPEG: %v", err)
		}
		if config.Width < 1 || config.Height < 1 || config.Width > MaxThumbnail || config.Height > MaxThumbnail {
			t.Fatalf("the thumbnail has %dx%d pixels", config.Width, config.Height)
		}
	})
}

// tooSlow says whether the header of a picture claims a million pixels or more.
func tooSlow(in []byte) bool {
	format, err := detect(in)
	if err != nil {
		return false
	}
	config, err := format.decodeConfig(bytes.NewReader(in))
	if err != nil || checkSize(format, config.Width, config.Height) != nil {
		return false
	}
	return config.Width*config.Height >= 1_000_000
}
