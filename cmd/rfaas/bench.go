package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/benchmarks"
	"github.com/rfaas-go/rfaas/transport"
)

// benchFlags are the flags of bench.
type benchFlags struct {
	config     benchmarks.Config
	urls       []string
	transports []transportFlag
	plot       string
	sizes      byteSizes
	functions  []string
	code       codeFlags
	listen     string
	asJSON     bool
	results    []benchmarks.Result
	unwritten  error // why the results could not be written
}

func (p *program) benchCommand() *cobra.Command {
	f := &benchFlags{}
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "bench TEST...",
		Short:                 "Measure transports and invocations between two processes",
		Long: `bench measures between this process and a second one that it starts, each pinned
to a core of its own if there are two. Latencies are round trips, with
percentiles and the mean of all of them. Near 100 ns a median moves in steps of
the clock; the mean does not, but has whatever interrupted this process in it.
The baseline tests measure the bare medium without any code of a transport:
compare with them in the same run, and not with figures of another machine.
Several transports are measured in turns, a part of the operations in each of
five rounds, and compared with the first one.

Tests:
` + benchTests() + `

` + benchFunctionsHelp,
		Example: `  How long does a call of an empty function take, and the medium below it?
    rfaas bench invoke-lat --baseline

  Latency over size of two transports, as a plot:
    rfaas bench write-imm-lat --transport shm:,softroce: --size 8,64,4KiB --plot lat.svg

  What does a call of C, or of WebAssembly, cost beside one of Go, and how soon
  is there a first result?
    gcc -O2 -shared -fPIC -o functions.so examples/native/src/functions.c
    rfaas bench invoke-lat cold-start -f functions.so:echo -f echo.wasm

  What does a lease cost, beside a message and beside a start without one?
    rfaas bench lease-lat

  For a script:
    rfaas bench invoke-lat invoke-rate --json

  Between two machines (for transports that reach that far):
    rfaas bench --listen :7471 --transport URL
    rfaas bench write-lat --connect HOST:7471 --transport URL`,
		ValidArgs: benchTestNames(),
		RunE: func(cmd *cobra.Command, tests []string) error {
			if cmd.Flags().Changed("transport") && len(f.urls) == 0 { // pflag makes no list of ""
				f.urls = []string{""}
			}
			f.transports = givenTransports(f.urls, benchmarks.DefaultTransport)
			if f.listen != "" {
				return f.serve(cmd, p, tests)
			}
			return f.measure(cmd, p, tests)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.urls, "transport", nil, fmt.Sprintf("`URL` of the transport, several separated by commas; see 'rfaas devices' (default %q, or $%s)", benchmarks.DefaultTransport, transportVariable))
	flags.StringVar(&f.config.PeerTransport, "peer-transport", "", "`URL` of the transport at the other end, if it is another one")
	flags.Var(&f.sizes, "size", "`BYTES` of a message, several separated by commas (default: the test's)")
	flags.IntVar(&f.config.Iterations, "iterations", 0, "measure `N` operations of each size (default: by test and size)")
	flags.StringVar(&f.config.Mode, "mode", "", "`MODE` of waiting: hot polls, warm sleeps, adaptive polls for 50us and then sleeps (default: the test's)")
	flags.IntVar(&f.config.Depth, "depth", 0, "keep `N` operations in flight, in tests that have several")
	flags.IntVar(&f.config.Workers, "workers", 0, "start `N` workers, in tests that have several")
	flags.StringArrayVarP(&f.functions, "function", "f", nil, "call this `FUNCTION`, or one of a FILE (FILE or FILE:NAME), in invoke-lat, cold-start and the tests of leases; may be repeated")
	f.code.addTrust(flags)
	flags.BoolVar(&f.config.Baseline, "baseline", false, "measure the bare medium after each size")
	flags.BoolVar(&f.asJSON, "json", false, "one JSON object a line instead of a table")
	flags.StringVar(&f.plot, "plot", "", "write a plot to this `FILE` (.svg or .png)")
	flags.StringVar(&f.config.Profile, "profile", "", "make a profile of this `KIND` of the measuring process: cpu, mem or trace")
	flags.StringVar(&f.config.ProfileDir, "profile-dir", "", "`DIR` for the profile (default: the current one)")
	flags.StringVar(&f.listen, "listen", "", "be the other end for measurements from another machine, at this `ADDRESS` (host:port)")
	flags.StringVar(&f.config.Connect, "connect", "", "measure against a 'rfaas bench --listen' at this `ADDRESS` (host:port)")
	neverZero(flags, "iterations", "depth", "workers")
	return cmd
}

// measure runs the tests and prints their results.
func (f *benchFlags) measure(cmd *cobra.Command, p *program, tests []string) error {
	if err := f.check(tests); err != nil {
		return err
	}
	signals, stop := signal.NotifyContext(cmd.Context(), endingSignals()...)
	defer stop()
	ctx, cancel := context.WithCancel(signals)
	defer cancel()
	f.config.Sizes = f.sizes
	urls := urlsOf(f.transports)
	f.config.Transport, f.config.Others = urls[0], urls[1:]
	f.config.OnNote = func(note string) { p.logging.log.Info(note) }
	f.config.OnResult = func(r benchmarks.Result) {
		f.results = append(f.results, r)
		if f.asJSON {
			if f.unwritten = benchmarks.WriteJSON(cmd.OutOrStdout(), r); f.unwritten != nil {
				cancel()
			}
		}
	}
	if err := f.tryTransports(); err != nil {
		return err
	}
	functions, closeFunctions, err := f.openFunctions(ctx, p)
	if err != nil {
		return err
	}
	defer closeFunctions()
	if !(f.asJSON && isTerminal(cmd.OutOrStdout())) { // objects and what is under way would get mixed up
		f.config.OnBegin = p.meter.Name
		p.meter.Begin("bench", 0)
	}
	for _, test := range tests {
		config := f.config
		config.Test = test
		if len(f.functions) > 0 || benchTest(test).NeedsFunctions {
			config.Functions = functions
		}
		if _, err = benchmarks.Run(ctx, config); err != nil {
			break
		}
	}
	p.meter.End()
	return f.finish(signals, cmd, p, err)
}

// finish writes what there is, also when measuring has ended early.
func (f *benchFlags) finish(signals context.Context, cmd *cobra.Command, p *program, err error) error {
	if !f.asJSON && len(f.results) > 0 {
		f.unwritten = benchmarks.WriteTable(cmd.OutOrStdout(), f.results...)
	}
	switch {
	case f.unwritten != nil:
		return f.unwritten
	case signals.Err() != nil:
		return &exitError{exitInterrupted, errInterrupted}
	case err != nil:
		return asUsage[*benchmarks.FlagError](err)
	}
	if f.plot != "" {
		if err := benchmarks.WritePlot(f.plot, benchmarks.ShellWords(append([]string{"rfaas"}, os.Args[1:]...)...), f.results); err != nil {
			return err
		}
		fmt.Fprintf(p.meter, "wrote %s\n", f.plot)
	}
	if f.config.Profile != "" {
		fmt.Fprintf(p.meter, "wrote %s\n", benchmarks.ProfileFile(f.config.Profile, f.config.ProfileDir))
	}
	return nil
}

// tryTransports opens them once: what is wrong is told as everywhere, before anything is measured.
func (f *benchFlags) tryTransports() error {
	for _, t := range f.transports {
		device, err := transport.Open(t.url)
		if err != nil {
			return openError(t, err)
		}
		device.Close()
	}
	return nil
}

// check refuses what can be seen to be wrong before anything is measured.
func (f *benchFlags) check(tests []string) error {
	if len(tests) == 0 {
		return usageError("which test? there are: %s", strings.Join(benchTestNames(), ", "))
	}
	for i, test := range tests {
		if !slices.Contains(benchTestNames(), test) {
			return usageError("unknown test %q; there are: %s", test, strings.Join(benchTestNames(), ", "))
		}
		if slices.Contains(tests[:i], test) {
			return usageError("%s: is given twice", test)
		}
	}
	if f.plot != "" {
		if err := benchmarks.CheckPlot(f.plot); err != nil {
			return &exitError{exitUsage, err}
		}
	}
	for _, test := range tests {
		if len(f.functions) > 0 && !benchTest(test).TakesFunctions {
			return usageError("--function: %s calls none; those that do: %s", test, strings.Join(benchFunctionTests(), ", "))
		}
	}
	if f.config.Profile != "" && len(tests) > 1 {
		return usageError("--profile: is about one test, and %d are given", len(tests))
	}
	return nil
}

// serve is the other end for measurements from another machine.
func (f *benchFlags) serve(cmd *cobra.Command, p *program, tests []string) error {
	if len(f.transports) > 1 {
		return usageError("--transport: --listen serves one transport, and %d are given", len(f.transports))
	}
	if len(tests) > 0 || f.config.Connect != "" {
		return usageError("--listen: waits for the other machine, which says what to measure; give it no tests and no --connect")
	}
	if err := f.tryTransports(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), endingSignals()...)
	defer stop()
	err := benchmarks.Serve(ctx, benchmarks.ServeConfig{
		Listen: f.listen, Transport: f.transports[0].url,
		OnNote: func(note string) { fmt.Fprintln(p.meter, note) },
	})
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return &exitError{exitInterrupted, nil}
	}
	return asUsage[*benchmarks.FlagError](err)
}

func benchTestNames() []string {
	var names []string
	for _, t := range benchmarks.Tests() {
		names = append(names, t.Name)
	}
	return names
}

// benchTest describes a test.
func benchTest(name string) benchmarks.TestInfo {
	all := benchmarks.Tests()
	return all[slices.IndexFunc(all, func(t benchmarks.TestInfo) bool { return t.Name == name })]
}

// benchFunctionTests are the tests that take functions.
func benchFunctionTests() []string {
	return slices.DeleteFunc(benchTestNames(), func(name string) bool { return !benchTest(name).TakesFunctions })
}

// benchTests lists the tests for the help text.
func benchTests() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, test := range benchmarks.Tests() {
		fmt.Fprintf(t, "  %s\t%s\n", test.Name, test.About)
	}
	t.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
