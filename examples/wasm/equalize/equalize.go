// Package equalize spreads the grey values of a picture over the whole range from
// black to white (histogram equalization), with whole numbers only: so that the
// same function in C and in Go, as WebAssembly and as machine code, gives the same
// bytes.
package equalize

import "errors"

// Name is what the function is deployed and called as.
const Name = "equalize"

// ErrEmpty is the error of a picture without pixels.
var ErrEmpty = errors.New("the picture has no pixels")

// Equalize writes the picture of in, one byte a pixel, to out and returns its
// length, which is that of in. If out is shorter it writes nothing.
func Equalize(in, out []byte) (int, error) {
	if len(in) == 0 {
		return 0, ErrEmpty
	}
	if len(in) > len(out) {
		return len(in), nil
	}
	var count [256]uint64
	for _, pixel := range in {
		count[pixel]++
	}
	var darkest, below uint64 // the pixels of the darkest value, and those up to a value
	var table [256]byte
	for value, n := range count {
		below += n
		if darkest == 0 {
			darkest = n
		}
		if rest := uint64(len(in)) - darkest; rest > 0 {
			table[value] = byte(((below-darkest)*255 + rest/2) / rest)
		} else {
			table[value] = byte(value) // one value only
		}
	}
	for i, pixel := range in {
		out[i] = table[pixel]
	}
	return len(in), nil
}
