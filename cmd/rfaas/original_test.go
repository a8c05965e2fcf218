//go:build cgo

package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
)

var original = flag.String("original", "", "folder with ci/original in build and torchvision in installed, for TestOriginalExamples")

// TestOriginalExamples calls the functions of the original rFaaS's examples, unmodified and
// isolated: they return what they return when nothing is between, and that is right.
func TestOriginalExamples(t *testing.T) {
	t.Parallel()
	if *original == "" {
		t.Skip("needs the original's examples: '.ci/long original' builds them")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	build, libraries := filepath.Join(*original, "build"), filepath.Join(*original, "installed", "lib")
	library := func(name string) string { return filepath.Join(build, "lib"+name+".so") }
	// direct is what a function returns without rfaas.
	direct := func(name, function string, input []byte) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(build, "call"), library(name), function)
		cmd.Dir, cmd.Stdin = build, bytes.NewReader(input)
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", said)
		return []byte(read(t, build, "result"))
	}

	paths, err := photos.Write(filepath.Join(dir, "photos"), 4, 900, 600, 1, nil)
	require.NoError(t, err)
	succeed(t, dir, append([]string{"run", "-f", library("thumbnailer"), "-o", "thumbnails"}, paths...)...)
	for _, path := range paths {
		photo, name := read(t, filepath.Dir(path), filepath.Base(path)), filepath.Base(path)
		thumbnail := read(t, dir, "thumbnails", name)
		require.Equal(t, string(direct("thumbnailer", "thumbnailer", []byte(photo))), thumbnail)
		decoded, _, err := image.DecodeConfig(bytes.NewReader([]byte(thumbnail)))
		require.NoError(t, err)
		require.Equal(t, image.Pt(200, 200), image.Pt(decoded.Width, decoded.Height))
	}

	// The model lies in the package.
	folder := filepath.Join(dir, "recognition")
	require.NoError(t, os.Mkdir(folder, 0o755))
	write(t, folder, "recognition.so", read(t, build, "librecognition.so"))
	write(t, folder, "resnet50.pt", read(t, build, "resnet50.pt"))
	write(t, folder, "manifest.json", `{"module": "recognition.so"}`)
	succeed(t, dir, "pack", "--with-libraries", "-o", "recognition.rfaas", "recognition")
	for class, c := range []color.RGBA{{R: 200, G: 20, B: 30, A: 255}, {R: 40, G: 180, B: 30, A: 255}, {R: 10, G: 20, B: 220, A: 255}} {
		picture := image.NewRGBA(image.Rect(0, 0, 400, 300))
		draw.Draw(picture, picture.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
		var input bytes.Buffer
		require.NoError(t, jpeg.Encode(&input, picture, nil))
		write(t, dir, "picture.jpg", input.String())
		want := binary.NativeEndian.AppendUint32(nil, uint32(class))
		require.Equal(t, want, direct("recognition", "image_recognition", input.Bytes()))
		require.Equal(t, string(want), succeed(t, dir, "invoke", "recognition.rfaas", "--in", "picture.jpg"))
		require.Equal(t, string(want), succeed(t, dir, "invoke", "recognition", "--read", libraries, "--in", "picture.jpg"))
	}

	const n = 60
	var matrices []float64 // two, one after the other, as the original's client fills them
	for i := range 2 * n * n {
		matrices = append(matrices, float64([]int{1 + i/n, 2 + i%n}[i/(n*n)]))
	}
	input, err := binary.Append(nil, binary.NativeEndian, matrices)
	require.NoError(t, err)
	write(t, dir, "matrices", string(input))
	for function, first := range map[string]int{"mmm": 0, "mmm3": n / 2} { // mmm3 leaves half of the rows to its caller
		product := make([]float64, n*n)
		for i := first; i < n; i++ {
			for j := range n {
				for k := range n {
					product[i*n+j] += matrices[i*n+k] * matrices[n*n+k*n+j]
				}
			}
		}
		want, err := binary.Append(nil, binary.NativeEndian, product)
		require.NoError(t, err)
		require.Equal(t, want, direct("mmm", function, input))
		require.Equal(t, string(want), succeed(t, dir, "invoke", library("mmm")+":"+function, "--in", "matrices"), function)
	}
}
