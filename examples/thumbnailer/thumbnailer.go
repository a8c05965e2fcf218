// Package thumbnailer is the function that makes thumbnails: a JPEG or PNG
// picture in, a JPEG of at most 200x200 pixels out.
//
// The picture keeps its proportions, and one that is small enough already keeps
// its size. A JPEG is turned upright by its EXIF orientation; the result carries
// no metadata. What is transparent becomes white.
package thumbnailer

import (
	"context"
	"fmt"
)

const (
	// Name is what the function is deployed and called as.
	Name = "thumbnailer"

	// Idempotent says that an invocation may be repeated, after a lost
	// connection for instance, without a second effect.
	Idempotent = true

	// Extension is the file extension of a result.
	Extension = ".jpg"
)

// Function reads a picture from in and writes its thumbnail to out. Both are
// registered memory owned by the invocation and only valid until Function
// returns. It returns the number of result bytes written to out: rarely more
// than 40,000.
//
// Errors say what is wrong with the picture: that it is empty, of another
// format, truncated, broken, or beyond [MaxSide] or [MaxPixels]. When the
// result does not fit, the error says how many bytes it takes and wraps
// [io.ErrShortBuffer]. When ctx ends, its error is wrapped: reading stops in the
// middle, for work that nobody waits for takes a core from somebody else. After
// an error the contents of out mean nothing.
func Function(ctx context.Context, in, out []byte) (n int, err error) {
	picture, orientation, err := decode(ctx, in)
	if err != nil {
		return 0, err
	}
	small, err := scale(ctx, picture, fit(picture.Bounds().Size()))
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("stopped before encoding: %w", err)
	}
	return encode(out, upright(small, orientation))
}
