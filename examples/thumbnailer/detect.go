package thumbnailer

import (
	"errors"
	"fmt"
)

// magic is how files of a kind begin. A question mark stands for any byte.
type magic struct {
	prefix string
	kind   string  // with its article, to complete "the input is ..."
	format *format // nil if the function cannot read it
}

// magics is searched in this order, so that the more specific comes first.
var magics = [...]magic{
	{"\xFF\xD8\xFF", "a JPEG picture", formatJPEG},
	{"\x89PNG\r\n\x1A\n", "a PNG picture", formatPNG},
	{"GIF8", "a GIF picture", nil},
	{"RIFF????WEBP", "a WebP picture", nil},
	{"BM", "a BMP picture", nil},
	{"II*\x00", "a TIFF or raw camera picture", nil},
	{"MM\x00*", "a TIFF or raw camera picture", nil},
	{"????ftypavif", "an AVIF picture", nil},
	{"????ftyphei", "a HEIC picture", nil},
	{"????ftypmif1", "a HEIF picture", nil},
	{"????ftyp", "an MPEG-4 file", nil},
	{"\xFF\x0A", "a JPEG XL picture", nil},
	{"\x00\x00\x00\x0CJXL ", "a JPEG XL picture", nil},
	{"\x00\x00\x00\x0CjP  ", "a JPEG 2000 picture", nil},
	{"8BPS", "a Photoshop document", nil},
	{"%PDF", "a PDF document", nil},
	{"<svg", "an SVG drawing", nil},
	{"<?xml", "an XML document", nil},
	{"PK\x03\x04", "a ZIP archive", nil},
	{"\x1F\x8B", "a gzip archive", nil},
}

// detect returns the format of a picture by how it begins; names lie.
func detect(in []byte) (*format, error) {
	if len(in) == 0 {
		return nil, errors.New("the input is empty: send the bytes of a JPEG or PNG file")
	}
	for i := range magics {
		m := &magics[i]
		if !m.matches(in) {
			continue
		}
		if m.format == nil {
			return nil, fmt.Errorf("the input is %s: only JPEG and PNG can be read; convert it first", m.kind)
		}
		return m.format, nil
	}
	const shown = 8 // bytes
	return nil, fmt.Errorf("the input is of an unknown format, its %d bytes begin with %q: only JPEG and PNG can be read",
		len(in), in[:min(shown, len(in))])
}

func (m *magic) matches(in []byte) bool {
	if len(in) < len(m.prefix) {
		return false
	}
	for i, want := range []byte(m.prefix) {
		if want != '?' && in[i] != want {
			return false
		}
	}
	return true
}
