package photos

import (
	"encoding/binary"
	"fmt"
)

// TIFF 6.0, section 2, and EXIF 2.32, section 4.6: tags and the types of their values.
const (
	tagImageDescription = 0x010E
	tagOrientation      = 0x0112

	typeASCII = 2
	typeShort = 3
)

// exif returns the photograph's APP1 segment, marker included: what the picture
// is and how it was held. Without an orientation it returns nothing.
//
// Cameras disagree about the byte order, so photographs do: even seeds make
// little-endian blocks ("II"), odd ones big-endian ("MM").
func (p Photo) exif() []byte {
	if p.Orientation == 0 {
		return nil
	}

	var order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	} = binary.LittleEndian
	mark := "II"
	if p.Seed%2 == 1 {
		order, mark = binary.BigEndian, "MM"
	}
	description := fmt.Sprintf("synthetic photograph, seed %d\x00", p.Seed)

	const (
		entries         = 2
		directoryOffset = 8                                    // behind the TIFF header
		textOffset      = directoryOffset + 2 + entries*12 + 4 // count, entries, no next directory
	)
	tiff := []byte(mark)
	tiff = order.AppendUint16(tiff, 42)
	tiff = order.AppendUint32(tiff, directoryOffset)
	tiff = order.AppendUint16(tiff, entries)

	// The entries are sorted by tag.
	tiff = order.AppendUint16(tiff, tagImageDescription)
	tiff = order.AppendUint16(tiff, typeASCII)
	tiff = order.AppendUint32(tiff, uint32(len(description)))
	tiff = order.AppendUint32(tiff, textOffset)

	tiff = order.AppendUint16(tiff, tagOrientation)
	tiff = order.AppendUint16(tiff, typeShort)
	tiff = order.AppendUint32(tiff, 1)
	tiff = order.AppendUint16(tiff, uint16(p.Orientation))
	tiff = order.AppendUint16(tiff, 0) // pads the value to four bytes

	tiff = order.AppendUint32(tiff, 0) // no next directory
	tiff = append(tiff, description...)

	const intro = "Exif\x00\x00"
	segment := []byte{0xFF, 0xE1}
	segment = binary.BigEndian.AppendUint16(segment, uint16(2+len(intro)+len(tiff))) // JPEG's order, whatever TIFF's
	segment = append(segment, intro...)
	return append(segment, tiff...)
}
