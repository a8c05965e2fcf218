package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/job"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// runFlags are the flags of run.
type runFlags struct {
	function  string
	output    string
	transport transportFlag
	cluster   managerFlags
	trust     bool // the network
	workers   int
	mode      invoke.Mode
	timeout   time.Duration
	slotBytes byteSize
	code      codeFlags
	filesFrom string
	quiet     bool
	asJSON    bool
}

const (
	defaultTimeout = 5 * time.Minute
	maxWorkers     = 1024
)

func (p *program) runCommand() *cobra.Command {
	f := &runFlags{}
	var list strings.Builder
	writeFunctions(&list)
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "run -f FUNCTION [-o DIR] INPUT...",
		Short:                 "Call a function with each of many files",
		Long: `run leases workers, processes that execute functions, calls the function once
for each INPUT, and writes the results. An INPUT of - is the standard input.
--files-from takes more INPUTs than fit on a command line.
The workers are this machine's, or with --manager those of a cluster.

Functions:
` + list.String() + `
Or FILE or FILE:NAME, a function of a package (.rfaas, see 'rfaas pack'), of a
shared object with the ABI of rFaaS (.so) or of a WebAssembly module (.wasm); or
FILE, a program that reads its standard input and writes its standard output, or
a FOLDER with one of these and what belongs to it; or DIGEST or DIGEST:NAME of a
package in the cache (see 'rfaas cache').
Such code is isolated: of files it sees the system's libraries, its package (as
its working directory), an empty /tmp, and what --read and --directory name. It
makes no connections, and only programs start others. Of your environment it has
what --env says. Shared objects and programs also have HOME and TMPDIR (/tmp),
and OMP_NUM_THREADS and the like (--threads); programs have the system's PATH.
--log-level info lists what was applied.

` + limitsHelp + `

What functions print goes to the standard error, in lines: "NAME[PID] | text" of
their standard output, "NAME[PID] ! text" of their standard error.

Results go to files in DIR that are named like the input, with the function's
extension. They replace what has that name; a file appears when it is complete.
Without -o results go to the standard output, in the order of the inputs.
Functions that make files of a kind of their own (.jpg, .csv) then take one
input only.

` + roomHelp + `

An input that fails does not keep the others from being done. A worker that dies
is replaced; the input that it had is tried again, with three workers at most,
if the function is declared idempotent, as the functions above are.

With the first Ctrl-C, what is running may finish within ` + stopGrace.String() + `, and is kept; the
second one ends at once. There is a summary in both cases.

With --json there is an object for each input when it ends, a line each: input,
output, state (done, failed or not_tried), error, attempts, in_bytes, out_bytes,
call_ns, executed_ns; and a last one for all of them.`,
		Example: `  Make thumbnails of all photographs, on all cores:
    rfaas run -f thumbnailer -o thumbnails photos/*.jpg

  Run a script of your own for each of many files, with two cores for each:
    rfaas run -f ./simulate.py --threads 2 -o results *.csv

  More files than fit on a command line:
    find photos -name '*.jpg' | rfaas run -f thumbnailer -o thumbnails --files-from -

  Price options, from and to a pipe:
    generate-options | rfaas run -f black-scholes - | sort

  Leave cores to others, and give up on pictures that take too long:
    rfaas run -f thumbnailer --workers 2 --timeout 10s -o thumbnails photos/*.jpg`,
		RunE: func(cmd *cobra.Command, inputs []string) error {
			return f.run(cmd, p, inputs)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.function, "function", "f", "", "the `FUNCTION` to call")
	flags.StringVar(&f.filesFrom, "files-from", "", "`FILE` with names of inputs, one a line, besides those that are given; - for the standard input")
	flags.StringVarP(&f.output, "output", "o", "", "`DIR` for the results, created if necessary; - for the standard output")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress, and a summary only of what failed")
	flags.BoolVar(&f.asJSON, "json", false, "one JSON object a line for each input, and one for all, instead of a summary; needs -o DIR")
	f.cluster.add(flags, "; lease workers of its nodes (default: of this machine)")
	flags.IntVar(&f.workers, "workers", 0, "start `N` workers, but no more than there are inputs (default: one for each core; with --threads 4 for each four, with --mode hot for each two)")
	f.transport.add(flags, "shm:", " to the workers")
	flags.BoolVar(&f.trust, "trust-network", false, trustUsage)
	addMode(flags, &f.mode)
	flags.DurationVar(&f.timeout, "timeout", defaultTimeout, "give up on a call after this `TIME`; 0 for never")
	flags.Var(&f.slotBytes, "slot-bytes", slotBytesUsage)
	f.code.manifest.add(flags)
	f.code.add(flags)
	neverZero(flags, "workers", "slot-bytes")
	return cmd
}

// run carries the command out.
func (f *runFlags) run(cmd *cobra.Command, p *program, inputs []string) error {
	function, closeFunction, err := openFunction(f.function, &f.code)
	if err != nil {
		return err
	}
	defer closeFunction()
	if inputs, err = f.names(inputs, cmd.InOrStdin()); err != nil {
		return err
	}
	if err := f.check(function, inputs, cmd.OutOrStdout()); err != nil {
		return err
	}
	device, err := openForWorkers(f.transport)
	if err != nil {
		return err
	}
	defer func() {
		if err := device.Close(); err != nil {
			p.logging.log.Warn("the transport cannot be closed", "reason", err)
		}
	}()
	plan, err := job.NewPlan(job.PlanConfig{
		Names: inputs, Stdin: cmd.InOrStdin(), Directory: outputPath(f.output),
		Extension: function.extension, LimitBytes: mostInput(f.slotBytes),
	})
	if err != nil {
		return asUsage[*job.MisuseError](err)
	}
	from, workers, note, err := f.source(cmd.Context(), p, function, device, len(inputs))
	if err != nil {
		return err
	}
	defer from.close()
	report := f.carryOut(cmd, p, plan, job.Config{
		Function: function.name, Lease: from.lease, Process: from.process,
		InputBytes: max(int(plan.LargestBytes), leastInput), ResultBytes: function.room(plan.LargestBytes, f.slotBytes), MoreRoom: function.moreRoom(), Bare: function.bare(),
		Workers: workers, Threads: f.code.threads, Mode: f.mode, Timeout: f.timeout,
		Stdout: cmd.OutOrStdout(), Log: p.logging.toldLater(),
	})
	if note != "" {
		report.Notes = append(report.Notes, note)
	}
	if err := f.tell(report, cmd.OutOrStdout(), p.meter); err != nil {
		return err
	}
	switch {
	case report.Interrupted:
		return &exitError{exitInterrupted, nil}
	case !report.Complete():
		return &exitError{exitFailed, nil}
	}
	return nil
}

// tell says what came of it.
func (f *runFlags) tell(report *job.Report, stdout, stderr io.Writer) error {
	switch {
	case f.asJSON:
		return report.WriteJSON(stdout)
	case f.quiet && report.Complete():
		return nil
	case f.quiet:
		return report.WriteFailures(stderr)
	case report.Directory == "": // the standard output is for results
		return report.WriteSummary(stderr)
	}
	return report.WriteSummary(stdout)
}

// source is where workers are leased, and for how many there is something to do. note
// remarks on it.
func (f *runFlags) source(ctx context.Context, p *program, function *function, device *transport.Device, inputs int) (from *leaser, workers int, note string, err error) {
	if f.cluster.url == "" {
		cores, note, err := f.place(inputs)
		if err != nil {
			return nil, 0, "", err
		}
		from, err = p.startNode(ctx, function, f.code.trust, device, f.transport.url, cores)
		return from, len(cores) / f.code.threads, note, err
	}
	if err := f.code.notElsewhere(); err != nil {
		return nil, 0, "", err
	}
	if err := checkTrust(f.transport, f.trust); err != nil {
		return nil, 0, "", err
	}
	m, as, err := f.cluster.open(p)
	if err != nil {
		return nil, 0, "", err
	}
	s, err := m.Nodes(ctx) // a client that is not let in fails at once
	if err != nil {
		return nil, 0, "", err
	}
	if workers = f.workers; workers == 0 {
		if workers, err = freeCores(ctx, m, s, f.code.threads); err != nil {
			return nil, 0, "", err
		}
	}
	from, err = p.cluster(ctx, &f.cluster, as, device, function.archive())
	return from, min(workers, inputs), "", err
}

// carryOut runs the plan, and shows how it goes.
func (f *runFlags) carryOut(cmd *cobra.Command, p *program, plan *job.Plan, cfg job.Config) *job.Report {
	cfg.OnOutcome = func(o job.Outcome) {
		p.meter.Step(o.State == job.Failed)
		if f.asJSON {
			_ = o.WriteJSON(cfg.Stdout) // if that fails, so does the last object
		}
	}
	stop, abort, release := interruption(cmd.Context(), stopGrace, func() {
		fmt.Fprintf(p.meter, "%s: interrupted: what is running has %v; Ctrl-C again ends at once\n", cmd.CommandPath(), stopGrace)
	})
	defer release()
	mixed := (plan.Directory == "" || f.asJSON) && isTerminal(cfg.Stdout) // a bar, and results or objects
	if !f.quiet && !mixed {
		p.meter.Begin(cfg.Function, len(plan.Inputs))
	}
	report := job.Run(stop, abort, plan, cfg)
	p.meter.End()
	report.Interrupted = stop.Err() != nil
	return report
}
