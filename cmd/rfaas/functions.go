package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/rfaas-go/rfaas/examples/blackscholes"
	"github.com/rfaas-go/rfaas/examples/echo"
	"github.com/rfaas-go/rfaas/examples/noop"
	"github.com/rfaas-go/rfaas/examples/thumbnailer"
	"github.com/rfaas-go/rfaas/invoke"
)

// function is a function that can be called: one that comes with the program, or
// one of a package.
type function struct {
	name       string
	about      string // a line
	call       invoke.Function
	idempotent bool
	extension  string // of a result's file; empty for that of the input
	binary     bool   // a result is nothing for a terminal
	// resultBytes is how long the result for an input of n bytes can get, if it comes
	// with the program. Rare longer ones are refused as too large, and say so.
	resultBytes func(n int64) int64
	code        *code // nil: it comes with the program
}

// bare reports whether the function's code is a file that is no package.
func (f *function) bare() bool { return f.code != nil && f.code.bare }

// functions are all, in the order of the help texts.
var functions = []function{
	{
		name: thumbnailer.Name, about: "JPEG or PNG in, JPEG of at most 200x200 pixels out",
		call: thumbnailer.Function, idempotent: thumbnailer.Idempotent,
		extension: thumbnailer.Extension, binary: true,
		resultBytes: func(int64) int64 { return 256 << 10 },
	},
	{
		name: blackscholes.Name, about: "CSV of European options in, the same with their prices out",
		call: blackscholes.Function, idempotent: blackscholes.Idempotent,
		extension: blackscholes.Extension,
		// A price takes up to 25 bytes, and the shortest option 12.
		resultBytes: func(n int64) int64 { return 4*n + 64 },
	},
	{
		name: echo.Name, about: "the input comes back as it is",
		call: echo.Function, idempotent: echo.Idempotent, extension: echo.Extension,
		resultBytes: func(n int64) int64 { return n },
	},
	{
		name: noop.Name, about: "does nothing; the result is empty",
		call: noop.Function, idempotent: noop.Idempotent, extension: noop.Extension,
		resultBytes: func(int64) int64 { return 0 },
	},
}

// findFunction looks a function up by name.
func findFunction(name string) (*function, error) {
	for i := range functions {
		if functions[i].name == name {
			return &functions[i], nil
		}
	}
	if name == "" {
		return nil, usageError("which function? choose one with -f: %s", strings.Join(functionNames(), ", "))
	}
	return nil, usageError("unknown function %q; there are: %s", name, strings.Join(functionNames(), ", "))
}

func functionNames() []string {
	names := make([]string, len(functions))
	for i := range functions {
		names[i] = functions[i].name
	}
	return names
}

// writeFunctions lists the functions for a help text.
func writeFunctions(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range functions {
		fmt.Fprintf(t, "  %s\t%s\n", f.name, f.about)
	}
	t.Flush()
}
