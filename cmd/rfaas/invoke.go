package main

import (
	"fmt"
	"io"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
	"github.com/rfaas-go/rfaas/invoke"
)

// invokeFlags are the flags of invoke.
type invokeFlags struct {
	input     string
	data      string
	hasData   bool
	output    string
	transport transportFlag
	cluster   managerFlags
	trust     bool // the network
	mode      invoke.Mode
	timeout   time.Duration
	slotBytes byteSize
	code      codeFlags
	repeat    int
}

// maxRepeat bounds --repeat: so many latencies are kept in memory.
const maxRepeat = 10_000_000

func (p *program) invokeCommand() *cobra.Command {
	f := &invokeFlags{}
	var list strings.Builder
	writeFunctions(&list)
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "invoke FUNCTION|FILE[:NAME]",
		Short:                 "Call a function once",
		Long: `invoke starts a process that executes functions, calls one of them, and writes
the result. The function is one that comes with the program, or one of a FILE: a
package, a shared object (.so) or a WebAssembly module (.wasm); of several in it
NAME says which. Or FILE is a program, from standard input to standard output, a
folder, or the digest of a package in the cache: see 'rfaas run'.

Functions:
` + list.String() + `
The input is a file (--in), the standard input (--in -) or some text (--data);
without any of these it is empty. The result goes to the standard output, or to
a file (-o), which it replaces, and which appears when it is complete. Both can
have up to a gigabyte.

` + roomHelp + `

A call that fails is not repeated. For many inputs there is
'rfaas run'. FILEs run isolated from your files and other processes, but for
what --read, --directory and --env give them, unless --trust-code says
otherwise.

` + limitsHelp,
		Example: `  One call, and what it says:
    rfaas invoke echo --data hello

  A function of a shared object, of several:
    rfaas invoke functions.so:sum --in numbers -o total

  How long does it take?
    rfaas invoke thumbnailer --in photo.jpg -o thumbnail.jpg --repeat 100`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return fmt.Errorf("%d functions are given; one is called: %s, or one of a file", len(args), strings.Join(functionNames(), ", "))
		},
		ValidArgsFunction: completeFunction,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.hasData = cmd.Flags().Changed("data")
			return f.run(cmd, p, args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.input, "in", "i", "", "`FILE` with the input; - for the standard input")
	flags.StringVar(&f.data, "data", "", "`TEXT` to be the input")
	flags.StringVarP(&f.output, "output", "o", "", "`FILE` for the result; - for the standard output")
	f.transport.add(flags, "shm:", " to the function's process")
	flags.BoolVar(&f.trust, "trust-network", false, trustUsage)
	f.cluster.add(flags, "; lease the worker of one of its nodes (default: of this machine)")
	addMode(flags, &f.mode)
	flags.DurationVar(&f.timeout, "timeout", defaultTimeout, "give up on a call after this `TIME`; 0 for never")
	flags.Var(&f.slotBytes, "slot-bytes", slotBytesUsage)
	f.code.manifest.add(flags)
	f.code.add(flags)
	flags.IntVar(&f.repeat, "repeat", 1, "call `N` times, say how long it took, and write the last result")
	neverZero(flags, "slot-bytes")
	return cmd
}

// run carries the command out.
func (f *invokeFlags) run(cmd *cobra.Command, p *program, name string) error {
	function, closeFunction, err := openFunction(name, &f.code)
	if err != nil {
		return err
	}
	defer closeFunction()
	if err := f.check(function, cmd.OutOrStdout()); err != nil {
		return err
	}
	in, err := f.openInput(cmd.InOrStdin())
	if err != nil {
		return err
	}
	defer in.close()
	if file := outputPath(f.output); file != "" {
		if err := atomicfile.ProbeFile(file); err != nil {
			return fmt.Errorf("the result cannot be written to %s: %w; choose another file (-o)", file, err)
		}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), endingSignals()...)
	defer stop()
	c := &invocation{flags: f, name: function.name, moreRoom: function.moreRoom(), bare: function.bare(), program: p, length: int(in.bytes)}
	defer c.end()
	err = c.carryOut(ctx, function, in, func(result []byte) error { return f.write(cmd.OutOrStdout(), result) })
	if f.input == "" && !f.hasData && hasMore(cmd.InOrStdin()) {
		p.logging.log.Warn("the standard input is not read, and the function's input was empty: --in - reads it")
	}
	if ctx.Err() != nil {
		return &exitError{exitInterrupted, errInterrupted}
	}
	if err != nil {
		return err
	}
	if f.repeat > 1 {
		c.end() // what the function has printed comes before
		fmt.Fprintln(p.meter, c.summary())
	}
	return nil
}

// check refuses what can be seen to be wrong from the command line alone.
func (f *invokeFlags) check(function *function, stdout io.Writer) error {
	switch {
	case f.input != "" && f.hasData:
		return usageError("--in and --data: there is one input")
	case f.timeout < 0:
		return usageError("--timeout %v: must not be negative; 0 is for never", f.timeout)
	case f.repeat < 1 || f.repeat > maxRepeat:
		return usageError("--repeat %d: must be 1 to %d", f.repeat, maxRepeat)
	case outputPath(f.output) == "" && function.binary && isTerminal(stdout):
		return usageError("%s makes %s files, which are nothing for a terminal: say where to put it with -o FILE", function.name, function.extension)
	}
	return checkSlotBytes(f.slotBytes)
}

// write hands the result out.
func (f *invokeFlags) write(stdout io.Writer, result []byte) error {
	if file := outputPath(f.output); file != "" {
		return atomicfile.Write(file, result)
	}
	_, err := stdout.Write(result)
	return err
}
