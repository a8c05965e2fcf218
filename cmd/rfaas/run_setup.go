package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
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

// names are those of the inputs: those that are given, and those of --files-from.
func (f *runFlags) names(given []string, stdin io.Reader) ([]string, error) {
	if f.filesFrom == "" {
		return given, nil
	}
	from := stdin
	if f.filesFrom != standardStream {
		file, err := os.Open(f.filesFrom)
		if err != nil {
			return nil, fmt.Errorf("--files-from: %w", err)
		}
		defer file.Close()
		from = file
	}
	list, err := io.ReadAll(from)
	if err != nil {
		return nil, fmt.Errorf("--files-from %s: %w", f.filesFrom, atomicfile.WithoutPath(err))
	}
	for line := range strings.Lines(string(list)) {
		if name := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"); name != "" {
			given = append(given, name)
		}
	}
	if f.filesFrom == standardStream && slices.Contains(given, standardStream) {
		return nil, usageError("--files-from -: the standard input has the names of inputs, and cannot be an input as well; put the names into a file")
	}
	return given, nil
}

// check refuses what can be seen to be wrong from the command line alone.
func (f *runFlags) check(function *function, inputs []string, stdout io.Writer) error {
	switch {
	case len(inputs) == 0 && f.filesFrom != "":
		return fmt.Errorf("--files-from %s: has no names of inputs", f.filesFrom)
	case len(inputs) == 0:
		return usageError("no inputs: name the files to call %s with, or - for the standard input", function.name)
	case f.workers < 0 || f.workers > maxWorkers:
		return usageError("--workers %d: must be 1 to %d", f.workers, maxWorkers)
	case f.timeout < 0:
		return usageError("--timeout %v: must not be negative; 0 is for never", f.timeout)
	case f.asJSON && outputPath(f.output) == "":
		return usageError("--json: the standard output is for the results: say where to put them with -o DIR")
	case outputPath(f.output) != "":
	case function.extension != "" && len(inputs) > 1:
		return usageError("%s makes a %s file of each input: say where to put them with -o DIR", function.name, function.extension)
	case function.binary && isTerminal(stdout):
		return usageError("%s makes %s files, which are nothing for a terminal: say where to put them with -o DIR", function.name, function.extension)
	}
	return checkSlotBytes(f.slotBytes)
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
	busy := threads + 1                                // if it is hot: the worker's, and its caller's
	usable := min(len(allowed), runtime.GOMAXPROCS(0)) // which knows the limits of a container
	if workers == 0 {
		workers = max(usable/threads, 1)
		if f.mode == invoke.Hot {
			workers = max(usable/busy, 1)
		}
	}
	workers = min(workers, inputs)
	if f.mode == invoke.Hot && busy*workers > usable {
		return nil, "", usageError("--mode hot: keeps %d cores busy for each worker, %d in all, and %d can be used here; start fewer workers, or use --mode adaptive", busy, busy*workers, usable)
	}
	cores, note = executor.Place(workers, threads, allowed)
	return cores, note, nil
}

// leastInput is room for inputs that have grown, or do not know their size.
const leastInput = 64 << 10
