package thumbnailer

import (
	"context"
	"image"
	"image/color"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/image/draw"

	"github.com/rfaas-go/rfaas/examples/photos"
)

// filterOnly scales without averaging first: the quality to be reached.
func filterOnly(picture image.Image, size image.Point) *image.RGBA {
	small := image.NewRGBA(image.Rectangle{Max: size})
	draw.CatmullRom.Scale(small, small.Rect, picture, picture.Bounds(), draw.Src, nil)
	return small
}

// Averaging boxes before filtering is a short cut. It must not be visible: not
// on photographs, and not on rings that become finer and finer, where a poor
// filter shows patterns that are not there.
func TestBoxesDoNotShow(t *testing.T) {
	t.Parallel()
	photo, _, err := decode(context.Background(), photograph(t, photos.Photo{Width: 1300, Height: 400}))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		picture image.Image
		least   float64 // decibels
	}{
		"photograph": {photo, 45},            // 33 by taking every nth pixel
		"rings":      {rings(1301, 401), 30}, // 6 by taking every nth pixel
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			size := fit(c.picture.Bounds().Size())
			got, err := scale(context.Background(), c.picture, size)
			require.NoError(t, err)
			require.Greater(t, psnr(t, filterOnly(c.picture, size), got), c.least)
		})
	}
}

// rings returns a zone plate: rings that are as fine as pixels at its far edges.
func rings(width, height int) image.Image {
	picture := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			dx, dy := x-width/2, y-height/2
			if (dx*dx+dy*dy)/width%2 == 0 {
				picture.SetGray(x, y, color.Gray{255})
			}
		}
	}
	return picture
}

func TestAverageBoxes(t *testing.T) {
	t.Parallel()
	// Columns of 0, 10, ... 60 in a picture that does not begin at the origin:
	// boxes of two, two and three columns.
	picture := image.NewGray(image.Rect(5, 7, 12, 11))
	for y := 7; y < 11; y++ {
		for x := 5; x < 12; x++ {
			picture.SetGray(x, y, color.Gray{uint8(10 * (x - 5))})
		}
	}
	got, err := averageBoxes(context.Background(), picture, image.Pt(3, 2))
	require.NoError(t, err)
	row := []uint8{5, 5, 5, 255, 25, 25, 25, 255, 50, 50, 50, 255}
	require.Equal(t, append(row, row...), got.Pix)
}

func TestAverageBoxesOfOnePixelAreThePicture(t *testing.T) {
	t.Parallel()
	picture := rings(37, 37)
	got, err := averageBoxes(context.Background(), picture, image.Pt(37, 37))
	require.NoError(t, err)
	want := image.NewRGBA(picture.Bounds())
	draw.Draw(want, want.Rect, picture, image.Point{}, draw.Src)
	require.Equal(t, want.Pix, got.Pix)
}

func TestUpright(t *testing.T) {
	t.Parallel()
	// The scene is
	//	1 2 3
	//	4 5 6
	// and these are the rows in which the standard has it stored.
	stored := map[int][][]uint8{
		1: {{1, 2, 3}, {4, 5, 6}},
		2: {{3, 2, 1}, {6, 5, 4}},
		3: {{6, 5, 4}, {3, 2, 1}},
		4: {{4, 5, 6}, {1, 2, 3}},
		5: {{1, 4}, {2, 5}, {3, 6}},
		6: {{3, 6}, {2, 5}, {1, 4}},
		7: {{6, 3}, {5, 2}, {4, 1}},
		8: {{4, 1}, {5, 2}, {6, 3}},
	}
	want := pixels([][]uint8{{1, 2, 3}, {4, 5, 6}})
	for orientation, rows := range stored {
		got := upright(pixels(rows), orientation)
		require.Equal(t, want.Rect, got.Rect, "orientation %d", orientation)
		require.Equal(t, want.Pix, got.Pix, "orientation %d", orientation)
	}
}

// pixels returns a picture of which only the red values matter.
func pixels(rows [][]uint8) *image.RGBA {
	picture := image.NewRGBA(image.Rect(0, 0, len(rows[0]), len(rows)))
	for y, row := range rows {
		for x, red := range row {
			picture.SetRGBA(x, y, color.RGBA{R: red, A: 255})
		}
	}
	return picture
}
