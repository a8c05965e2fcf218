package thumbnailer

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
)

func TestFunctionNamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	photo := photograph(t, photos.Photo{Width: 64, Height: 48})
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":             {"", []string{"the input is empty", "JPEG or PNG"}},
		"GIF":                 {"GIF89a\x01\x00", []string{"is a GIF picture", "convert it"}},
		"WebP":                {"RIFF\x24\x00\x00\x00WEBPVP8 ", []string{"is a WebP picture"}},
		"a sound":             {"RIFF\x24\x00\x00\x00WAVEfmt ", []string{"unknown format", `"RIFF$\x00\x00\x00"`}},
		"BMP":                 {"BM\x46\x00\x00\x00", []string{"is a BMP picture"}},
		"TIFF":                {"MM\x00*\x00\x00\x00\x08", []string{"is a TIFF"}},
		"HEIC":                {"\x00\x00\x00\x18ftypheic\x00", []string{"is a HEIC picture"}},
		"AVIF":                {"\x00\x00\x00\x18ftypavif\x00", []string{"is an AVIF picture"}},
		"video":               {"\x00\x00\x00\x18ftypisom\x00", []string{"is an MPEG-4 file"}},
		"PDF":                 {"%PDF-1.7", []string{"is a PDF document"}},
		"XML":                 {"<?xml version", []string{"is an XML document"}},
		"text":                {"Dear Sir or Madam", []string{"unknown format", "17 bytes", `"Dear Sir"`}},
		"a byte":              {"\xFF", []string{"unknown format", "1 bytes", `"\xff"`}},
		"broken JPEG":         {strings.Replace(string(photo), "\xFF\xC4", "\xFF\xC5", 1), []string{"the JPEG cannot be decoded", "damaged"}},
		"JPEG without pixels": {string(resized(photo, 0, 48)), []string{"the JPEG"}},
		"PNG without pixels":  {pngHeader(0, 5), []string{"the PNG"}},
		"JPEG bomb":           {string(resized(photo, 65535, 65535)), []string{"JPEG has 4295 megapixels (65535x65535)", "only 128"}},
		"PNG bomb":            {pngHeader(12_000, 12_000), []string{"PNG has 144 megapixels (12000x12000)", "only 128"}},
		"PNG too long":        {pngHeader(1_000_000, 1), []string{"1000000x1 pixels", "only 65535"}},
		"PNG beyond numbers":  {pngHeader(1<<31-1, 1<<31-1), []string{"the PNG"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := Function(context.Background(), []byte(c.in), make([]byte, 64<<10))
			require.Zero(t, n)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// resized returns the JPEG with another size in its header.
func resized(in []byte, width, height uint16) []byte {
	in = bytes.Clone(in)
	frame := bytes.Index(in, []byte{0xFF, 0xC0}) // SOF0: marker, length, precision, height, width
	binary.BigEndian.PutUint16(in[frame+5:], height)
	binary.BigEndian.PutUint16(in[frame+7:], width)
	return in
}

// pngHeader returns the beginning of a PNG of that size, all that a
// decompression bomb needs to have memory allocated for it.
func pngHeader(width, height uint32) string {
	chunk := []byte("IHDR")
	chunk = binary.BigEndian.AppendUint32(chunk, width)
	chunk = binary.BigEndian.AppendUint32(chunk, height)
	chunk = append(chunk, 8, 6, 0, 0, 0) // 8 bits, RGBA
	out := []byte("\x89PNG\r\n\x1A\n\x00\x00\x00\x0D")
	out = append(out, chunk...)
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
	return string(out)
}

func TestLimitsAreInclusive(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkSize(formatPNG, MaxSide, 1))
	require.NoError(t, checkSize(formatPNG, 16_000, 8_000))
	require.Error(t, checkSize(formatPNG, MaxSide+1, 1))
	require.Error(t, checkSize(formatPNG, 1, MaxSide+1))
	require.Error(t, checkSize(formatPNG, 16_000, 8_001))
	require.Error(t, checkSize(formatPNG, 0, 1))
}

// No prefix of a picture passes for the picture, one without its last byte
// included: half a photograph must not become a thumbnail that is grey below.
func TestTruncatedPicturesAreRefused(t *testing.T) {
	t.Parallel()
	colours := image.NewNRGBA(image.Rect(0, 0, 40, 30))
	for i := range colours.Pix {
		colours.Pix[i] = byte(i * i)
	}
	for name, in := range map[string][]byte{
		"JPEG": photograph(t, photos.Photo{Width: 40, Height: 32, Orientation: 3}),
		"PNG":  pngOf(t, colours),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := make([]byte, 64<<10)
			const magicSize = 8 // less than that is no JPEG or PNG
			for size := magicSize; size < len(in); size++ {
				n, err := Function(context.Background(), in[:size], out)
				require.ErrorContains(t, err, name+" is truncated", "%d of %d bytes", size, len(in))
				require.Zero(t, n)
			}
			_, err := Function(context.Background(), in, out)
			require.NoError(t, err)
		})
	}
}
