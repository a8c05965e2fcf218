package photos_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rwcarlsen/goexif/exif"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
)

// encode returns the bytes of p.
func encode(t *testing.T, p photos.Photo) []byte {
	t.Helper()
	var encoded bytes.Buffer
	require.NoError(t, p.Encode(&encoded))
	return encoded.Bytes()
}

// decode returns the pixels of a JPEG as they are stored.
func decode(t *testing.T, encoded []byte) image.Image {
	t.Helper()
	picture, err := jpeg.Decode(bytes.NewReader(encoded))
	require.NoError(t, err)
	return picture
}

func TestJPEGHasTheSizeAskedFor(t *testing.T) {
	t.Parallel()
	for _, size := range []image.Point{{1, 1}, {1, 90}, {90, 1}, {2, 3}, {31, 17}, {320, 200}} {
		t.Run(size.String(), func(t *testing.T) {
			t.Parallel()
			var encoded bytes.Buffer
			require.NoError(t, photos.JPEG(&encoded, size.X, size.Y, 5))
			require.Equal(t, size, decode(t, encoded.Bytes()).Bounds().Size())
		})
	}
}

func TestSeedChoosesThePhotograph(t *testing.T) {
	t.Parallel()
	seen := make(map[[sha256.Size]byte]uint64)
	for seed := range uint64(8) {
		p := photos.Photo{Width: 96, Height: 64, Seed: seed}
		digest := sha256.Sum256(encode(t, p))
		require.Equal(t, digest, sha256.Sum256(encode(t, p)), "seed %d: two tries differ", seed)
		require.NotContains(t, seen, digest, "seed %d repeats an earlier photograph", seed)
		seen[digest] = seed
	}
}

// Photographs take one to four bits a pixel at a camera's quality. A smooth
// picture would take far fewer, and would be no test of a decoder; noise more.
func TestPhotographsAreAsHardToCompressAsRealOnes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		const width, height = 480, 320
		bits := float64(8*len(encode(t, photos.Photo{Width: width, Height: height, Seed: seed}))) / (width * height)
		assert.InDelta(t, 2.5, bits, 1.5, "seed %d: bits a pixel", seed)
	}
}

// The reader is an EXIF library that shares no code with the writer.
func TestOrientationTagCanBeRead(t *testing.T) {
	t.Parallel()
	for orientation := 1; orientation <= 8; orientation++ {
		for seed := range uint64(2) { // both byte orders
			encoded := encode(t, photos.Photo{Width: 24, Height: 16, Orientation: orientation, Seed: seed})
			tags, err := exif.Decode(bytes.NewReader(encoded))
			require.NoError(t, err)

			tag, err := tags.Get(exif.Orientation)
			require.NoError(t, err)
			got, err := tag.Int(0)
			require.NoError(t, err)
			require.Equal(t, orientation, got)

			tag, err = tags.Get(exif.ImageDescription)
			require.NoError(t, err)
			description, err := tag.StringVal()
			require.NoError(t, err)
			require.Contains(t, description, "synthetic photograph")
		}
	}
}

func TestPhotographWithoutOrientationHasNoEXIF(t *testing.T) {
	t.Parallel()
	require.NotContains(t, string(encode(t, photos.Photo{Width: 24, Height: 16})), "Exif")
}

// In every scene the sky is brighter than the meadow, so the brightness of the
// stored edges tells how the camera was held: the expected edge is the standard's
// "visual top" (EXIF 2.32, 4.6.5, tag 0x0112), not what the code computes.
func TestPixelsAreStoredAsTheOrientationSays(t *testing.T) {
	t.Parallel()
	skyAt := map[int]string{1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "left", 7: "right", 8: "right"}
	for orientation, want := range skyAt {
		for seed := range uint64(4) {
			picture := decode(t, encode(t, photos.Photo{Width: 120, Height: 90, Orientation: orientation, Seed: seed}))
			require.Equal(t, want, brightestEdge(picture), "orientation %d, seed %d", orientation, seed)
		}
	}
}

// brightestEdge names the edge of the picture whose outer sixth is the
// brightest on average.
func brightestEdge(picture image.Image) string {
	size := picture.Bounds().Size()
	strips := map[string]image.Rectangle{
		"top":    image.Rect(0, 0, size.X, size.Y/6),
		"bottom": image.Rect(0, size.Y*5/6, size.X, size.Y),
		"left":   image.Rect(0, 0, size.X/6, size.Y),
		"right":  image.Rect(size.X*5/6, 0, size.X, size.Y),
	}
	brightest, name := uint64(0), ""
	for edge, strip := range strips {
		sum := uint64(0)
		for y := strip.Min.Y; y < strip.Max.Y; y++ {
			for x := strip.Min.X; x < strip.Max.X; x++ {
				r, g, b, _ := picture.At(x, y).RGBA()
				sum += uint64(r + g + b)
			}
		}
		if mean := sum / uint64(strip.Dx()*strip.Dy()); mean > brightest {
			brightest, name = mean, edge
		}
	}
	return name
}

func TestEncodeRefusesImpossiblePhotographs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		photo photos.Photo
		want  string
	}{
		"no width":             {photos.Photo{Width: 0, Height: 5}, "0x5"},
		"negative height":      {photos.Photo{Width: 5, Height: -1}, "5x-1"},
		"too wide for JPEG":    {photos.Photo{Width: photos.MaxSide + 1, Height: 5}, "want 1 to 65535"},
		"too many pixels":      {photos.Photo{Width: 60_000, Height: 60_000}, "3600 megapixels"},
		"negative orientation": {photos.Photo{Width: 5, Height: 5, Orientation: -1}, "orientation -1"},
		"unknown orientation":  {photos.Photo{Width: 5, Height: 5, Orientation: 9}, "orientation 9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, c.photo.Encode(io.Discard), c.want)
		})
	}
}

// fullDisk takes some bytes and then fails.
type fullDisk struct{ free int }

var errDiskFull = errors.New("disk full")

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.free {
		return d.free, errDiskFull
	}
	d.free -= len(p)
	return len(p), nil
}

func TestEncodeReportsTheWritersError(t *testing.T) {
	t.Parallel()
	photo := photos.Photo{Width: 24, Height: 16, Orientation: 6}
	for _, free := range []int{0, 2, 40, len(encode(t, photo)) - 1} {
		require.ErrorIs(t, photo.Encode(&fullDisk{free}), errDiskFull, "%d bytes free", free)
	}
	require.NoError(t, photo.Encode(&fullDisk{len(encode(t, photo))}))
}

func TestWriteMakesASeries(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "album")
	const n, width, height = 13, 90, 60

	var each atomic.Int64
	paths, err := photos.Write(dir, n, width, height, 42, func() { each.Add(1) })
	require.EqualValues(t, n, each.Load())

	require.NoError(t, err)
	require.Len(t, paths, n)
	require.Equal(t, filepath.Join(dir, "photo-0001.jpg"), paths[0])
	require.Equal(t, filepath.Join(dir, "photo-0013.jpg"), paths[n-1])
	require.Len(t, list(t, dir), n, "the directory holds more than the photographs")

	orientations := make(map[int]bool)
	sizes := make(map[image.Point]bool)
	for _, path := range paths {
		encoded, err := os.ReadFile(path)
		require.NoError(t, err)
		size := decode(t, encoded).Bounds().Size()
		assert.True(t, width-width/10 <= size.X && size.X <= width, "%s: %v", path, size)
		assert.True(t, height-height/10 <= size.Y && size.Y <= height, "%s: %v", path, size)
		sizes[size] = true
		orientations[orientationOf(t, encoded)] = true
	}
	assert.Len(t, orientations, 9, "orientations seen: %v", orientations)
	assert.Greater(t, len(sizes), 3, "sizes seen: %v", sizes)
}

// orientationOf returns the EXIF orientation of a JPEG, 0 if it has none.
func orientationOf(t *testing.T, encoded []byte) int {
	t.Helper()
	if !bytes.Contains(encoded, []byte("Exif\x00\x00")) {
		return 0
	}
	tags, err := exif.Decode(bytes.NewReader(encoded))
	require.NoError(t, err)
	tag, err := tags.Get(exif.Orientation)
	require.NoError(t, err)
	orientation, err := tag.Int(0)
	require.NoError(t, err)
	return orientation
}

// list returns the names in a directory.
func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestWriteIsRepeatableAndReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := photos.Write(dir, 2, 40, 30, 1, nil)
	require.NoError(t, err)
	before, err := os.ReadFile(first[1])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(first[1], []byte("old"), 0o666))

	again, err := photos.Write(dir, 2, 40, 30, 1, nil)

	require.NoError(t, err)
	require.Equal(t, first, again)
	after, err := os.ReadFile(again[1])
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "the same seed made another photograph")
}

func TestWriteRefusesWhatItCannotDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []int{-1, 0, photos.MaxPhotos + 1} {
		_, err := photos.Write(dir, n, 40, 30, 1, nil)
		require.ErrorContains(t, err, "want 1 to 9999")
	}
	_, err := photos.Write(dir, 1, 0, 30, 1, nil)
	require.ErrorContains(t, err, "0x30")
	require.Empty(t, list(t, dir))

	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o666))
	_, err = photos.Write(file, 1, 40, 30, 1, nil)
	require.ErrorContains(t, err, "cannot create the directory")
}

// A directory in the place of a photograph makes the last step fail.
func TestWriteLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "photo-0001.jpg", "occupied"), 0o777))

	paths, err := photos.Write(dir, 1, 40, 30, 1, nil)

	require.ErrorContains(t, err, "photo-0001.jpg")
	require.Nil(t, paths)
	require.Equal(t, []string{"photo-0001.jpg"}, list(t, dir), "a partial file remained")
}

func BenchmarkJPEG(b *testing.B) {
	const width, height = 3000, 2000
	for b.Loop() {
		if err := photos.JPEG(io.Discard, width, height, 1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*width*height/1e6/b.Elapsed().Seconds(), "megapixels/s")
}
