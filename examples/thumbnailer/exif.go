package thumbnailer

import (
	"bytes"
	"encoding/binary"
)

// Markers of a JPEG, the second byte of each (ISO/IEC 10918-1, table B.1).
const (
	markerTEM  = 0x01
	markerRST0 = 0xD0
	markerEOI  = 0xD9
	markerSOS  = 0xDA
	markerAPP1 = 0xE1
)

// upTop is the EXIF orientation of a picture that is upright as it is stored.
const upTop = 1

// exifOrientation returns the orientation that the EXIF block of a JPEG names,
// 1 to 8. It returns 1 if there is no block or it cannot be understood: broken
// metadata are no reason to refuse a picture.
//
// It reads this one value by itself rather than with a library, because pictures
// come from strangers: a block of 20 bytes makes rwcarlsen/goexif loop until
// memory runs out, and one of 26 bytes makes it allocate 4 GiB. (Both are in the
// tests, which also compare with that library on blocks that mean well.)
func exifOrientation(in []byte) int {
	const start = 2 // behind the start-of-image marker
	rest := in[min(start, len(in)):]
	for {
		marker, payload, behind, ok := nextSegment(rest)
		if !ok {
			return upTop
		}
		if tiff, isEXIF := bytes.CutPrefix(payload, []byte("Exif\x00\x00")); marker == markerAPP1 && isEXIF {
			return tiffOrientation(tiff)
		}
		rest = behind
	}
}

// nextSegment cuts the first segment off the headers of a JPEG. It is not ok at
// the start of the picture data, or where no segment can be found.
func nextSegment(in []byte) (marker byte, payload, behind []byte, ok bool) {
	if len(in) == 0 || in[0] != 0xFF {
		return 0, nil, nil, false
	}
	for len(in) > 0 && in[0] == 0xFF { // any number of them may precede a marker
		in = in[1:]
	}
	if len(in) == 0 {
		return 0, nil, nil, false
	}
	marker, in = in[0], in[1:]
	switch {
	case marker == markerSOS || marker == markerEOI:
		return 0, nil, nil, false
	case marker == markerTEM || marker >= markerRST0 && marker < markerEOI:
		return marker, nil, in, true // these stand alone
	case len(in) < 2:
		return 0, nil, nil, false
	}
	length := int(binary.BigEndian.Uint16(in)) // counts its own two bytes
	if length < 2 || length > len(in) {
		return 0, nil, nil, false
	}
	return marker, in[2:length], in[length:], true
}

// tiffOrientation returns the orientation in a TIFF structure (TIFF 6.0, section
// 2), 1 if there is none. It looks into the first directory only, which is that
// of the picture itself; the next is that of an embedded thumbnail.
func tiffOrientation(tiff []byte) int {
	const (
		headerSize     = 8
		entrySize      = 12
		tagOrientation = 0x0112
		typeShort      = 3
	)
	if len(tiff) < headerSize {
		return upTop
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return upTop
	}
	offset := uint64(order.Uint32(tiff[4:]))
	if offset+2 > uint64(len(tiff)) {
		return upTop
	}
	directory := tiff[offset:]
	count := int(order.Uint16(directory))
	entries := directory[2:]
	for ; count > 0 && len(entries) >= entrySize; count-- {
		entry := entries[:entrySize]
		entries = entries[entrySize:]
		if order.Uint16(entry) != tagOrientation {
			continue
		}
		value := int(order.Uint16(entry[8:]))
		if order.Uint16(entry[2:]) != typeShort || order.Uint32(entry[4:]) != 1 || value < 1 || value > 8 {
			return upTop
		}
		return value
	}
	return upTop
}
