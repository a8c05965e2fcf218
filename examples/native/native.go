// Package native has functions for the native runtime, in C and C++ under src,
// and the same ones in Go, which return the same bytes. To build the objects:
//
//	cc -O2 -ffp-contract=off -shared -fPIC -o functions.so src/functions.c
//	c++ -O2 -ffp-contract=off -shared -fPIC -o mandelbrot.so src/mandelbrot.cpp
//
// Without -ffp-contract=off a compiler may fuse multiplications with additions
// where the processor can, and digits of C and Go differ.
package native

import (
	"context"
	"embed"
	"encoding/binary"
	"math"
)

// Sources are src/functions.c with the functions noop, echo and sum, and
// src/mandelbrot.cpp with mandelbrot.
//
//go:embed src
var Sources embed.FS

// Noop does nothing.
func Noop(context.Context, []byte, []byte) (n int, err error) { return 0, nil }

// Echo returns its input.
func Echo(_ context.Context, in, out []byte) (n int, err error) {
	copy(out, in)
	return len(in), nil
}

// Sum adds 64-bit integers in the machine's byte order, without regard to overflow.
// What is left of the input after the last whole one is ignored.
func Sum(_ context.Context, in, out []byte) (n int, err error) {
	total := uint64(0)
	for ; len(in) >= 8; in = in[8:] {
		total += binary.NativeEndian.Uint64(in)
	}
	if len(out) >= 8 {
		binary.NativeEndian.PutUint64(out, total)
	}
	return 8, nil
}

// maxPixels bounds the picture, in each direction.
const maxPixels = 4096

// Mandelbrot returns a picture of the Mandelbrot set: a byte for each pixel, row by
// row, which is the number of iterations after which a point is known to lie
// outside. The input is a window of the plane (left, top, width and height as
// float64) and the numbers of columns and rows (uint32, up to 4096), in the
// machine's byte order. Anything else gives an empty picture.
func Mandelbrot(_ context.Context, in, out []byte) (n int, err error) {
	if len(in) != 40 {
		return 0, nil
	}
	var window [4]float64
	for i := range window {
		window[i] = math.Float64frombits(binary.NativeEndian.Uint64(in[8*i:]))
	}
	left, top, width, height := window[0], window[1], window[2], window[3]
	columns, rows := binary.NativeEndian.Uint32(in[32:]), binary.NativeEndian.Uint32(in[36:])
	if columns == 0 || rows == 0 || columns > maxPixels || rows > maxPixels {
		return 0, nil
	}
	if n = int(columns) * int(rows); n > len(out) {
		return n, nil
	}
	for j := range rows {
		y := top - float64(height*float64(j))/float64(rows)
		for i := range columns {
			x := left + float64(width*float64(i))/float64(columns)
			out[j*columns+i] = iterations(x, y)
		}
	}
	return n, nil
}

// iterations is how many times z*z+c takes to leave the circle of radius 2, 255 if
// it did not. The conversions keep the compiler from fusing operations.
func iterations(x, y float64) uint8 {
	a, b := 0.0, 0.0
	for n := range uint8(255) {
		aa, bb := float64(a*a), float64(b*b)
		if aa+bb > 4 {
			return n
		}
		ab := float64(a * b)
		a = aa - bb + x
		b = ab + ab + y
	}
	return 255
}
