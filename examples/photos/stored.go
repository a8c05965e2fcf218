package photos

import "image"

// swapsSides says whether an orientation turns the picture by a quarter, so
// that its stored width is the height of the scene.
func swapsSides(orientation int) bool { return orientation >= 5 }

// stored returns the upright picture the way a camera with that EXIF
// orientation stores it. Orientations 0 and 1 return upright itself.
func stored(upright *image.YCbCr, orientation int) *image.YCbCr {
	if orientation <= 1 {
		return upright
	}
	size := upright.Rect.Size()
	if swapsSides(orientation) {
		size.X, size.Y = size.Y, size.X
	}
	turned := image.NewYCbCr(image.Rectangle{Max: size}, upright.SubsampleRatio)

	from := upright.Rect.Size()
	turnPlane(turned.Y, turned.YStride, upright.Y, upright.YStride, from, orientation)
	from = chromaSize(from)
	turnPlane(turned.Cb, turned.CStride, upright.Cb, upright.CStride, from, orientation)
	turnPlane(turned.Cr, turned.CStride, upright.Cr, upright.CStride, from, orientation)
	return turned
}

// chromaSize is the size of the colour planes of a 4:2:0 picture of that size.
func chromaSize(size image.Point) image.Point {
	return image.Pt((size.X+1)/2, (size.Y+1)/2)
}

// turnPlane moves every sample of src, a plane of size pixels, to its place in
// dst. EXIF names an orientation by where the stored row 0 and the stored
// column 0 are in the upright scene (EXIF 2.32, 4.6.5, tag 0x0112):
//
//	    2          3             4            5         6          7             8
//	top, right  bottom, right  bottom, left  left, top  right, top  right, bottom  left, bottom
func turnPlane(dst []byte, dstStride int, src []byte, srcStride int, size image.Point, orientation int) {
	right, bottom := size.X-1, size.Y-1
	for y := range size.Y {
		row := src[y*srcStride:][:size.X]
		for x, sample := range row {
			var column, line int
			switch orientation {
			case 2:
				line, column = y, right-x
			case 3:
				line, column = bottom-y, right-x
			case 4:
				line, column = bottom-y, x
			case 5:
				line, column = x, y
			case 6:
				line, column = right-x, y
			case 7:
				line, column = right-x, bottom-y
			case 8:
				line, column = x, bottom-y
			}
			dst[line*dstStride+column] = sample
		}
	}
}
