package thumbnailer

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"
	"math"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
)

func TestThumbnailFitsAndKeepsProportions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ picture, thumbnail image.Point }{
		{image.Pt(400, 300), image.Pt(200, 150)},
		{image.Pt(300, 400), image.Pt(150, 200)},
		{image.Pt(320, 319), image.Pt(200, 199)},
		{image.Pt(201, 201), image.Pt(200, 200)},
		{image.Pt(200, 200), image.Pt(200, 200)},
		{image.Pt(120, 40), image.Pt(120, 40)}, // not enlarged
		{image.Pt(1, 1), image.Pt(1, 1)},
		{image.Pt(3000, 5), image.Pt(200, 1)}, // never less than a pixel
		{image.Pt(5, 3000), image.Pt(1, 200)},
		{image.Pt(599, 17), image.Pt(200, 6)},
	} {
		t.Run(c.picture.String(), func(t *testing.T) {
			t.Parallel()
			picture := image.NewGray(image.Rectangle{Max: c.picture})
			require.Equal(t, c.thumbnail, thumbnailOf(t, jpegOf(t, picture)).Bounds().Size())
			require.Equal(t, c.thumbnail, thumbnailOf(t, pngOf(t, picture)).Bounds().Size())
		})
	}
}

// What another program stored in eight ways looks the same, and as in the first
// file, which is stored upright.
func TestOrientationsOfAnotherProgramAreRespected(t *testing.T) {
	t.Parallel()
	var first image.Image
	for orientation := 1; orientation <= 8; orientation++ {
		in, err := os.ReadFile(fmt.Sprintf("testdata/f%d.jpg", orientation))
		require.NoError(t, err)
		require.Equal(t, orientation, exifOrientation(in))

		thumbnail := thumbnailOf(t, in)

		if orientation == 1 {
			first = thumbnail
		}
		require.Greater(t, psnr(t, first, thumbnail), 25.0, "f%d.jpg does not look like f1.jpg", orientation)
	}
	// An F has ink at the bottom left, at the top right, and none at the bottom right.
	require.Equal(t, image.Pt(40, 80), first.Bounds().Size())
	require.Less(t, rgb(first.At(3, 76))[0], uint8(50))
	require.Less(t, rgb(first.At(36, 3))[0], uint8(50))
	require.Greater(t, rgb(first.At(36, 76))[0], uint8(200))
}

// The same with pictures large enough to be scaled.
func TestOrientationsOfPhotographsAreRespected(t *testing.T) {
	t.Parallel()
	scene := photos.Photo{Width: 240, Height: 160, Seed: 3}
	want := thumbnailOf(t, photograph(t, scene))
	for orientation := 1; orientation <= 8; orientation++ {
		turned := scene
		turned.Orientation = orientation
		if orientation >= 5 {
			turned.Width, turned.Height = scene.Height, scene.Width
		}
		got := thumbnailOf(t, photograph(t, turned))
		require.Greater(t, psnr(t, want, got), 33.0, "orientation %d", orientation)
	}
}

func TestEveryKindOfPixelIsUnderstood(t *testing.T) {
	t.Parallel()
	area := image.Rect(0, 0, 1300, 40) // large enough for both stages of scaling
	orange, grey := color.NRGBA{230, 140, 20, 255}, color.Gray{90}
	fill := func(picture draw.Image, c color.Color) draw.Image {
		draw.Draw(picture, area, image.NewUniform(c), image.Point{}, draw.Src)
		return picture
	}
	for name, c := range map[string]struct {
		in   []byte
		want color.Color
	}{
		"PNG NRGBA":    {pngOf(t, fill(image.NewNRGBA(area), color.NRGBA{230, 140, 20, 254})), orange},
		"PNG RGB":      {pngOf(t, fill(image.NewRGBA(area), orange)), orange},
		"PNG 16 bits":  {pngOf(t, fill(image.NewNRGBA64(area), color.NRGBA64{230 << 8, 140 << 8, 20 << 8, 0xFFF0})), orange},
		"PNG RGB 16":   {pngOf(t, fill(image.NewRGBA64(area), orange)), orange},
		"PNG palette":  {pngOf(t, fill(image.NewPaletted(area, color.Palette{color.White, orange}), orange)), orange},
		"PNG grey":     {pngOf(t, fill(image.NewGray(area), grey)), grey},
		"PNG grey 16":  {pngOf(t, fill(image.NewGray16(area), grey)), grey},
		"JPEG grey":    {jpegOf(t, fill(image.NewGray(area), grey)), grey},
		"JPEG colours": {jpegOf(t, fill(image.NewRGBA(area), orange)), orange},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireColor(t, rgb(c.want), thumbnailOf(t, c.in))
		})
	}
}

func TestTransparencyBecomesWhite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pixel color.NRGBA
		want  [3]uint8
	}{
		"all transparent":        {color.NRGBA{0, 0, 0, 0}, [3]uint8{255, 255, 255}},
		"transparent red":        {color.NRGBA{255, 0, 0, 0}, [3]uint8{255, 255, 255}},
		"half transparent black": {color.NRGBA{0, 0, 0, 128}, [3]uint8{127, 127, 127}},
		"half transparent blue":  {color.NRGBA{0, 0, 255, 128}, [3]uint8{127, 127, 255}},
	} {
		for _, size := range []image.Point{{16, 16}, {1300, 40}} {
			t.Run(fmt.Sprintf("%s/%v", name, size), func(t *testing.T) {
				t.Parallel()
				picture := image.NewNRGBA(image.Rectangle{Max: size})
				draw.Draw(picture, picture.Rect, image.NewUniform(c.pixel), image.Point{}, draw.Src)
				requireColor(t, c.want, thumbnailOf(t, pngOf(t, picture)))
			})
		}
	}
}

func TestFunctionLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	in := photograph(t, photos.Photo{Width: 300, Height: 200, Orientation: 5})
	sent := bytes.Clone(in)
	thumbnailOf(t, in)
	require.True(t, bytes.Equal(sent, in))
}

func TestFunctionKeepsToItsBuffer(t *testing.T) {
	t.Parallel()
	in := photograph(t, photos.Photo{Width: 300, Height: 200, Orientation: 8})
	size, err := Function(context.Background(), in, make([]byte, 64<<10))
	require.NoError(t, err)
	const behind = 64
	canary := bytes.Repeat([]byte{0xEE}, behind)

	for _, short := range []int{size, size - 1, size / 2, 1, 0} {
		backing := bytes.Repeat([]byte{0xEE}, size+behind)
		n, err := Function(context.Background(), in, backing[:size-short])
		require.True(t, bytes.HasSuffix(backing, append(canary, bytes.Repeat([]byte{0xEE}, short)...)),
			"bytes behind the result buffer were written")
		if short == 0 {
			require.NoError(t, err)
			require.Equal(t, size, n)
			continue
		}
		require.Zero(t, n)
		require.ErrorIs(t, err, io.ErrShortBuffer)
		require.ErrorContains(t, err, fmt.Sprintf("takes %d bytes", size))
		require.ErrorContains(t, err, fmt.Sprintf("holds %d", size-short))
	}
}

// expiring is a context that ends after its error was asked for so many times.
type expiring struct {
	context.Context
	asked, after int
}

func (e *expiring) Err() error {
	if e.asked++; e.asked > e.after {
		return context.DeadlineExceeded
	}
	return nil
}

// Wherever the context ends, the function ends with it, and says where.
func TestFunctionStopsWithItsContext(t *testing.T) {
	t.Parallel()
	in := photograph(t, photos.Photo{Width: 320, Height: 240, Orientation: 6})
	out := make([]byte, 64<<10)
	patient := &expiring{Context: context.Background(), after: math.MaxInt}
	_, err := Function(patient, in, out)
	require.NoError(t, err)

	for after, where := range map[int]string{
		0:                 "stopped while decoding the JPEG",
		1:                 "stopped while decoding the JPEG",
		len(in) / 4096:    "stopped while decoding the JPEG", // it is read in pieces of at most so many bytes
		patient.asked / 2: "stopped while scaling",
		patient.asked - 2: "stopped while scaling",
		patient.asked - 1: "stopped before encoding",
	} {
		n, err := Function(&expiring{Context: context.Background(), after: after}, in, out)
		require.ErrorIs(t, err, context.DeadlineExceeded, "after %d of %d", after, patient.asked)
		require.ErrorContains(t, err, where, "after %d of %d", after, patient.asked)
		require.Zero(t, n)
	}
}
