package main

import (
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

// standardStream stands for the standard input or output, in place of a file.
const standardStream = "-"

// outputPath is what -o names, empty for the standard output.
func outputPath(output string) string {
	if output == standardStream {
		return ""
	}
	return output
}

// check refuses what can be seen to be wrong from the command line alone.
func (f *runFlags) check(function *function, inputs []string, stdout io.Writer) error {
	switch {
	case len(inputs) == 0:
		return usageError("no inputs: name the files to call %s with, or - for the standard input", function.name)
	case f.workers < 0 || f.workers > maxWorkers:
		return usageError("--workers %d: must be 1 to %d", f.workers, maxWorkers)
	case f.timeout < 0:
		return usageError("--timeout %v: must not be negative; 0 is for never", f.timeout)
	case outputPath(f.output) != "":
	case function.extension != "" && len(inputs) > 1:
		return usageError("%s makes a %s file of each input: say where to put them with -o DIR", function.name, function.extension)
	case function.binary && isTerminal(stdout):
		return usageError("%s makes %s files, which are nothing for a terminal: say where to put them with -o DIR", function.name, function.extension)
	}
	return checkSlotBytes(f.slotBytes)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// openForWorkers opens a transport that reaches other processes.
func openForWorkers(url string) (*transport.Device, error) {
	provider := schemeOf(url)
	if !slices.Contains(transport.Schemes(), provider) {
		return nil, usageError("--transport %s: unknown transport %q; there are: %s", url, provider, strings.Join(transport.Schemes(), ", "))
	}
	device, err := transport.Open(url)
	if err != nil {
		return nil, usageError("--transport %s: %w; see 'rfaas devices'", url, err)
	}
	if !device.Capabilities().Features.Has(transport.FeatureCrossProcess) {
		device.Close()
		return nil, usageError("--transport %s: connects within one process only, and workers are processes; choose another, see 'rfaas devices'", url)
	}
	return device, nil
}

// place says how many workers there are for so many inputs, and where. note
// remarks on it.
func (f *runFlags) place(inputs int) (cores []int, note string, err error) {
	allowed, err := executor.AllowedCores()
	if err != nil {
		return nil, "", err
	}
	workers := f.workers
	threads := f.code.threads
	usable := min(len(allowed), runtime.GOMAXPROCS(0)) // which knows the limits of a container
	if workers == 0 {
		workers = max(usable/threads, 1)
		if f.mode == invoke.Hot {
			workers = max(usable/2, 1)
		}
	}
	workers = min(workers, inputs)
	if f.mode == invoke.Hot && 2*workers > usable {
		return nil, "", usageError("--mode hot: keeps two cores busy for each worker, %d in all, and %d can be used here; start fewer workers, or use --mode adaptive", 2*workers, usable)
	}
	cores, note = executor.Place(workers, threads, allowed)
	return cores, note, nil
}

// leastInput is room for inputs that have grown, or do not know their size.
const leastInput = 64 << 10
