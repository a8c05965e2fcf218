package thumbnailer

import (
	"context"
	"fmt"
	"image"
	"testing"

	"github.com/rfaas-go/rfaas/examples/photos"
)

func BenchmarkFunction(b *testing.B) {
	for _, size := range []image.Point{{1600, 1250}, {4000, 3000}} {
		b.Run(fmt.Sprintf("%dMP", size.X*size.Y/1_000_000), func(b *testing.B) {
			in := photograph(b, photos.Photo{Width: size.X, Height: size.Y, Orientation: 6, Seed: 1})
			out := make([]byte, 64<<10)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Function(context.Background(), in, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkScale(b *testing.B) {
	in := photograph(b, photos.Photo{Width: 4000, Height: 3000, Seed: 1})
	picture, _, err := decode(context.Background(), in)
	if err != nil {
		b.Fatal(err)
	}
	size := fit(picture.Bounds().Size())
	b.Run("boxes first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := scale(context.Background(), picture, size); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("filter only", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			filterOnly(picture, size)
		}
	})
}
