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
	"sync"
	"sync/atomic"
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
	var finished atomic.Int64
	stop := tell(stderr, &finished, *n, start, progressInterval)
	paths, err := photos.Write(*dir, *n, *width, *height, *seed, func() { finished.Add(1) })
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

// tell tells now and then how many of n photographs are finished since start, until stop is
// called.
func tell(w io.Writer, finished *atomic.Int64, n int, start time.Time, interval time.Duration) (stop func()) {
	ended := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				fmt.Fprintf(w, "generate: %d of %d photographs after %v\n", finished.Load(), n, now.Sub(start).Round(time.Second))
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
