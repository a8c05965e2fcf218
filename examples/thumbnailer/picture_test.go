package thumbnailer

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
)

// photograph returns a photograph as the bytes of a JPEG.
func photograph(tb testing.TB, p photos.Photo) []byte {
	tb.Helper()
	var encoded bytes.Buffer
	require.NoError(tb, p.Encode(&encoded))
	return encoded.Bytes()
}

// pngOf and jpegOf return a picture as the bytes of a file.
func pngOf(tb testing.TB, picture image.Image) []byte {
	tb.Helper()
	var encoded bytes.Buffer
	require.NoError(tb, png.Encode(&encoded, picture))
	return encoded.Bytes()
}

func jpegOf(tb testing.TB, picture image.Image) []byte {
	tb.Helper()
	var encoded bytes.Buffer
	require.NoError(tb, jpeg.Encode(&encoded, picture, &jpeg.Options{Quality: 95}))
	return encoded.Bytes()
}

// thumbnailOf runs Function on a picture that it must accept, and decodes the result.
func thumbnailOf(t *testing.T, in []byte) image.Image {
	t.Helper()
	out := make([]byte, 64<<10)
	n, err := Function(context.Background(), in, out)
	require.NoError(t, err)
	picture, err := jpeg.Decode(bytes.NewReader(out[:n]))
	require.NoError(t, err, "the result is no JPEG")
	return picture
}

// psnr returns how alike two pictures of one size are, in decibels: about 30 for
// a poor copy, 40 for one whose differences are hard to see.
func psnr(t *testing.T, a, b image.Image) float64 {
	t.Helper()
	require.Equal(t, a.Bounds(), b.Bounds())
	sum := 0.0
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			c, d := rgb(a.At(x, y)), rgb(b.At(x, y))
			for channel := range c {
				difference := float64(c[channel]) - float64(d[channel])
				sum += difference * difference
			}
		}
	}
	return 10 * math.Log10(255*255*float64(3*a.Bounds().Dx()*a.Bounds().Dy())/sum)
}

// rgb returns red, green and blue as the eye gets them on white, 0 to 255.
func rgb(c color.Color) [3]uint8 {
	r, g, b, a := c.RGBA()
	white := 0xFFFF - a
	return [3]uint8{uint8((r + white) >> 8), uint8((g + white) >> 8), uint8((b + white) >> 8)}
}

// requireColor fails unless all pixels of the picture have that colour, give or
// take what a JPEG changes.
func requireColor(t *testing.T, want [3]uint8, picture image.Image) {
	t.Helper()
	for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y++ {
		for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x++ {
			got := rgb(picture.At(x, y))
			for channel := range want {
				if difference := int(want[channel]) - int(got[channel]); max(difference, -difference) > 3 {
					t.Fatalf("pixel %d,%d is %v, want %v", x, y, got, want)
				}
			}
		}
	}
}
