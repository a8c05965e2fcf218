// Package photos makes photograph-like JPEGs, for tests, benchmarks and trials
// that need real pictures without carrying any: landscapes under a sky, with
// grain, stored the way cameras store them, sideways and mirrored included.
//
// The same arguments give the same bytes with one Go release on one
// architecture; the JPEG encoder and the rounding of floating-point numbers may
// differ between them.
package photos

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
)

// MaxPhotos is how many photographs one [Write] may be asked for: more would
// need a fifth digit in their names, which then no longer sort by number.
const MaxPhotos = 9999

// JPEG writes one photograph of width x height pixels to w. It is upright and
// has no EXIF block; use [Photo] for one that has.
//
// It fails if the size is impossible, see [Photo.Encode], or if w does.
func JPEG(w io.Writer, width, height int, seed uint64) error {
	return Photo{Width: width, Height: height, Seed: seed}.Encode(w)
}

// Write makes n photographs in the directory dir, which it creates if it has
// to, and returns their paths, photo-0001.jpg and up, in that order.
//
// They differ as the pictures of one camera and one day do: each is up to a
// tenth narrower and lower than width x height pixels, and their orientations
// go through no tag and all eight tags, the usual ones more often. Thirteen or
// more photographs have them all.
//
// A file appears under its name only when it is complete, and replaces what had
// that name. On error those finished before remain, and no path is returned. each, if
// not nil, is called when one is there, from several goroutines.
func Write(dir string, n int, width, height int, seed uint64, each func()) ([]string, error) {
	if n < 1 || n > MaxPhotos {
		return nil, fmt.Errorf("photos: cannot make %d photographs: want 1 to %d", n, MaxPhotos)
	}
	if err := checkSize(width, height); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("photos: cannot create the directory: %w", err)
	}

	var (
		paths  = make([]string, n)
		errs   = make([]error, n)
		next   atomic.Int64
		failed atomic.Bool
		group  sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		group.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				paths[i] = filepath.Join(dir, fmt.Sprintf("photo-%04d.jpg", i+1))
				if errs[i] = writeFile(paths[i], numbered(i, width, height, seed)); errs[i] != nil {
					failed.Store(true)
				} else if each != nil {
					each()
				}
			}
		})
	}
	group.Wait()

	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return paths, nil
}

// orientations are the EXIF orientations in the order in which a series goes
// through them: mostly none or upright, some held sideways, one of each other.
var orientations = [...]int{0, 6, 1, 0, 8, 1, 3, 0, 2, 6, 5, 4, 7}

// numbered returns the photograph with index i of the series that seed makes.
func numbered(i, width, height int, seed uint64) Photo {
	rng := rand.New(rand.NewPCG(seed, uint64(i)))
	return Photo{
		Width:       width - rng.IntN(width/10+1),
		Height:      height - rng.IntN(height/10+1),
		Orientation: orientations[i%len(orientations)],
		Seed:        rng.Uint64(),
	}
}

// writeFile encodes p into the file path. The name is given to it last, so that
// no reader ever sees half a photograph.
func writeFile(path string, p Photo) (err error) {
	// Not os.CreateTemp: its files are the owner's alone, whatever the umask.
	partial := fmt.Sprintf("%s.%016x.partial", path, rand.Uint64())
	file, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("photos: cannot create a photograph: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(partial))
		}
	}()
	if err := errors.Join(p.Encode(file), file.Close()); err != nil {
		return fmt.Errorf("photos: cannot write %s: %w", path, err)
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("photos: cannot name a photograph: %w", err)
	}
	return nil
}
