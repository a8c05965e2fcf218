package thumbnailer

import (
	"fmt"
	"image"
	"image/jpeg"
	"io"
)

// quality of the thumbnails, of 100: artefacts are hard to see from here on.
const quality = 85

// encode writes the picture to out as a JPEG and returns its number of bytes.
func encode(out []byte, picture image.Image) (int, error) {
	result := &fixedBuffer{buffer: out}
	if err := jpeg.Encode(result, picture, &jpeg.Options{Quality: quality}); err != nil {
		return 0, fmt.Errorf("cannot encode the thumbnail: %w", err)
	}
	if result.size > len(out) {
		return 0, fmt.Errorf("the thumbnail takes %d bytes and the result buffer holds %d: allow a longer result: %w",
			result.size, len(out), io.ErrShortBuffer)
	}
	return result.size, nil
}

// fixedBuffer is a writer that keeps what fits into its buffer and counts the
// rest, so that an error can say how much is missing. Writing never fails.
type fixedBuffer struct {
	buffer []byte
	size   int // bytes written, whether they fitted or not
}

func (b *fixedBuffer) Write(p []byte) (int, error) {
	copy(b.buffer[min(b.size, len(b.buffer)):], p)
	b.size += len(p)
	return len(p), nil
}
