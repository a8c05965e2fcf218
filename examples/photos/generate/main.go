// Generate makes photograph-like JPEGs to try the thumbnailer on:
//
//	go run ./examples/photos/generate -n 300 -o photos
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/examples/photos"
)

const usage = `Usage: generate [flags]

Makes photograph-like JPEGs, photo-0001.jpg and up: landscapes that vary a
little in size, and in the EXIF orientation a camera would have given them. The
same flags make the same photographs. Files of those names are replaced.

Example: generate -n 300 -width 3000 -height 2000 -o photos

Flags:
`

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2 // as the flag package has it
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run does what args ask for and returns the exit status. The outcome goes to
// stdout; help that was not asked for and errors to stderr.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	n := flags.Int("n", 10, fmt.Sprintf("`number` of photographs, 1 to %d", photos.MaxPhotos))
	dir := flags.String("o", "photos", "`directory` for them, created if need be")
	width := flags.Int("width", 3000, "largest width in `pixels`, as stored")
	height := flags.Int("height", 2000, "largest height in `pixels`, as stored")
	seed := flags.Uint64("seed", 1, "`number` that chooses the scenes")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}

	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage // the flag package has said what is wrong
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "generate: unexpected argument %q: everything is set by flags; see generate -help\n", flags.Arg(0))
		return exitUsage
	case *dir == "":
		fmt.Fprintln(stderr, "generate: -o is empty: give it a directory, . for this one")
		return exitUsage
	}

	start := time.Now()
	stop := tell(stderr, *dir, *n, start, progressInterval)
	paths, err := photos.Write(*dir, *n, *width, *height, *seed)
	stop()
	if err != nil {
		fmt.Fprintln(stderr, "generate:", err)
		return exitFailed
	}
	total, err := totalBytes(paths)
	if err != nil {
		fmt.Fprintln(stderr, "generate:", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%d photographs, %.1f MB, in %s (%.1f s)\n",
		len(paths), float64(total)/1e6, *dir, time.Since(start).Seconds())
	return exitOK
}

// progressInterval is how often progress is told.
const progressInterval = 5 * time.Second

// tell tells now and then how many of n photographs have been made in a folder since start,
// until stop is called.
func tell(w io.Writer, dir string, n int, start time.Time, interval time.Duration) (stop func()) {
	ended := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				fmt.Fprintf(w, "generate: %d of %d photographs after %v\n", finished(dir, start), n, now.Sub(start).Round(time.Second))
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		telling.Wait()
	}
}

// finished counts the photographs that were made since start: each appears when it is complete.
func finished(dir string, start time.Time) (n int) {
	paths, _ := filepath.Glob(filepath.Join(dir, "photo-*.jpg"))
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && !info.ModTime().Before(start.Truncate(time.Second)) {
			n++
		}
	}
	return n
}

// totalBytes adds up the sizes of files.
func totalBytes(paths []string) (total int64, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, nil
}
