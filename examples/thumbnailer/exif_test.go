package thumbnailer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rwcarlsen/goexif/exif"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
)

// segment returns a segment of a JPEG's header.
func segment(marker byte, payload string) string {
	out := binary.BigEndian.AppendUint16([]byte{0xFF, marker}, uint16(2+len(payload)))
	return string(out) + payload
}

// littleEndian returns a TIFF structure of one directory with these entries,
// each of a tag, a type, a count and the first half of a value.
func littleEndian(entries ...[4]uint32) string {
	order := binary.LittleEndian
	out := []byte("II*\x00\x08\x00\x00\x00")
	out = order.AppendUint16(out, uint16(len(entries)))
	for _, e := range entries {
		out = order.AppendUint16(out, uint16(e[0]))
		out = order.AppendUint16(out, uint16(e[1]))
		out = order.AppendUint32(out, e[2])
		out = order.AppendUint32(out, e[3])
	}
	return string(order.AppendUint32(out, 0))
}

func TestOrientationIsFound(t *testing.T) {
	t.Parallel()
	const start, picture = "\xFF\xD8", "\xFF\xDA\x00\x02"
	block := segment(0xE1, "Exif\x00\x00"+littleEndian([4]uint32{0x010F, 2, 2, 'X'}, [4]uint32{0x0112, 3, 1, 6}))
	for name, in := range map[string]string{
		"behind the start":          start + block + picture,
		"behind JFIF":               start + segment(0xE0, "JFIF\x00\x01\x02") + block + picture,
		"behind XMP":                start + segment(0xE1, "http://ns.adobe.com/xap/1.0/\x00<x/>") + block + picture,
		"behind what looks like it": start + segment(0xFE, "\xFF\xE1\x00\x08Exif") + block + picture,
		"behind fill bytes":         start + "\xFF\xFF\xFF" + block + picture,
		"behind a lone marker":      start + "\xFF\x01\xFF\xD7" + block + picture,
		"the first of two":          start + block + strings.Replace(block, "\x06\x00", "\x03\x00", 1) + picture,
		"in a file that ends there": start + block,
	} {
		require.Equal(t, 6, exifOrientation([]byte(in)), name)
	}
}

func TestOrientationThatMakesNoSenseIsIgnored(t *testing.T) {
	t.Parallel()
	const start = "\xFF\xD8"
	jpegWith := func(tiff string) string { return start + segment(0xE1, "Exif\x00\x00"+tiff) + "\xFF\xDA\x00\x02" }
	sixth := [4]uint32{0x0112, 3, 1, 6}
	require.Equal(t, 6, exifOrientation([]byte(jpegWith(littleEndian(sixth)))), "the well-formed block")
	for name, in := range map[string]string{
		"nothing":              "",
		"no headers":           start,
		"no EXIF":              start + segment(0xE0, "JFIF\x00") + "\xFF\xDA\x00\x02",
		"EXIF in the picture":  start + "\xFF\xDA\x00\x02" + segment(0xE1, "Exif\x00\x00"+littleEndian(sixth)),
		"EXIF in a comment":    start + segment(0xFE, "Exif\x00\x00"+littleEndian(sixth)),
		"only fill bytes":      start + "\xFF\xFF\xFF\xFF",
		"lost between markers": start + "\x00" + segment(0xE1, "Exif\x00\x00"+littleEndian(sixth)),
		"segment without size": start + "\xFF\xE1\x00",
		"size below its own":   start + "\xFF\xE1\x00\x01",
		"segment beyond end":   start + "\xFF\xE1\xFF\xFFExif\x00\x00" + littleEndian(sixth),
		"segment a byte short": start + "\xFF\xE1\x00\x23" + "Exif\x00\x00" + littleEndian(sixth)[:26],
		"empty block":          jpegWith(""),
		"unknown byte order":   jpegWith(strings.Replace(littleEndian(sixth), "II", "IM", 1)),
		"wrong byte order":     jpegWith(strings.Replace(littleEndian(sixth), "II*\x00", "MM\x00*", 1)),
		"directory beyond end": jpegWith("II*\x00\xFF\xFF\xFF\xFF"),
		"directory at the end": jpegWith("II*\x00\x08\x00\x00\x00"),
		"entry cut off":        jpegWith(littleEndian(sixth)[:20]),
		"other tag":            jpegWith(littleEndian([4]uint32{0x0113, 3, 1, 6})),
		"value 0":              jpegWith(littleEndian([4]uint32{0x0112, 3, 1, 0})),
		"value 9":              jpegWith(littleEndian([4]uint32{0x0112, 3, 1, 9})),
		"text":                 jpegWith(littleEndian([4]uint32{0x0112, 2, 1, 6})),
		"two values":           jpegWith(littleEndian([4]uint32{0x0112, 3, 2, 6})),
		"four gigabytes":       jpegWith(littleEndian([4]uint32{0x0112, 12, 0x20000001, 8})),
		"directories in a ring": jpegWith("II*\x00\x08\x00\x00\x00" +
			"\x00\x00\x0E\x00\x00\x00" + // at 8: empty, the next is at 14
			"\x00\x00\x08\x00\x00\x00"), // at 14: empty, the next is at 8
	} {
		require.Equal(t, upTop, exifOrientation([]byte(in)), name)
	}
}

// On well-formed files the function reads what a complete EXIF reader reads.
func TestOrientationAgreesWithALibrary(t *testing.T) {
	t.Parallel()
	var files [][]byte
	for i := 1; i <= 8; i++ {
		in, err := os.ReadFile(fmt.Sprintf("testdata/f%d.jpg", i))
		require.NoError(t, err)
		files = append(files, in,
			photograph(t, photos.Photo{Width: 8, Height: 8, Orientation: i, Seed: 0}),
			photograph(t, photos.Photo{Width: 8, Height: 8, Orientation: i, Seed: 1}))
	}
	for i, in := range files {
		tags, err := exif.Decode(bytes.NewReader(in))
		require.NoError(t, err)
		tag, err := tags.Get(exif.Orientation)
		require.NoError(t, err)
		want, err := tag.Int(0)
		require.NoError(t, err)
		require.Equal(t, want, exifOrientation(in), "file %d", i)
	}
}

// FuzzOrientation looks for headers that make the reader panic or invent an
// orientation.
func FuzzOrientation(f *testing.F) {
	for i := 1; i <= 8; i++ {
		in, err := os.ReadFile(fmt.Sprintf("testdata/f%d.jpg", i))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(in[:200])
		f.Add(photograph(f, photos.Photo{Width: 8, Height: 8, Orientation: i, Seed: uint64(i)})[:120])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		sent := bytes.Clone(in)
		if orientation := exifOrientation(in); orientation < 1 || orientation > 8 {
			t.Fatalf("orientation %d", orientation)
		}
		if !bytes.Equal(sent, in) {
			t.Fatal("the input was changed")
		}
	})
}
