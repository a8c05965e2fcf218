package thumbnailer

import "image"

// upright returns the picture as it is meant to be seen. EXIF (2.32, 4.6.5, tag
// 0x0112) names an orientation by where the stored row 0 and the stored column 0
// are in the scene:
//
//	    1          2           3             4            5         6          7             8
//	top, left  top, right  bottom, right  bottom, left  left, top  right, top  right, bottom  left, bottom
//
// Orientation 1 returns stored itself.
func upright(stored *image.RGBA, orientation int) *image.RGBA {
	if orientation == upTop {
		return stored
	}
	size := stored.Rect.Size()
	right, bottom := size.X-1, size.Y-1
	if orientation >= 5 {
		size.X, size.Y = size.Y, size.X // rows of the scene are stored as columns
	}
	turned := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			var from image.Point
			switch orientation {
			case 2:
				from = image.Pt(right-x, y)
			case 3:
				from = image.Pt(right-x, bottom-y)
			case 4:
				from = image.Pt(x, bottom-y)
			case 5:
				from = image.Pt(y, x)
			case 6:
				from = image.Pt(y, bottom-x)
			case 7:
				from = image.Pt(right-y, bottom-x)
			case 8:
				from = image.Pt(right-y, x)
			}
			turned.SetRGBA(x, y, stored.RGBAAt(from.X, from.Y))
		}
	}
	return turned
}
