package main

import (
	"context"
	"fmt"
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
	transport string
	cluster   managerFlags
	trust     bool // the network
	workers   int
	mode      invoke.Mode
	timeout   time.Duration
	slotBytes byteSize
	code      codeFlags
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
The workers are this machine's, or with --manager those of a cluster.

Functions:
` + list.String() + `
Or FILE or FILE:NAME, a function of a package (.rfaas, see 'rfaas pack'), of a
shared object with the ABI of rFaaS (.so) or of a WebAssembly module (.wasm); or
FILE, a program that reads its standard input and writes its standard output, or
a FOLDER with one of these and what belongs to it; or DIGEST or DIGEST:NAME of a
package in the cache (see 'rfaas cache').
Such code is isolated: of files it sees the system's libraries, its package (as
its working directory), an empty /tmp, and what --read and --directory name; it
gets no environment but --env, and it makes no connections. Only programs start
others. --log-level info lists what was applied.

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

` + exitHelp,
		Example: `  Make thumbnails of all photographs, on all cores:
    rfaas run -f thumbnailer -o thumbnails photos/*.jpg

  Run a script of your own for each of many files, with two cores for each:
    rfaas run -f ./simulate.py --threads 2 -o results *.csv

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
	flags.StringVarP(&f.output, "output", "o", "", "`DIR` for the results, created if necessary; - for the standard output")
	f.cluster.add(flags, "; lease workers of its nodes (default: of this machine)")
	flags.IntVar(&f.workers, "workers", 0, "start `N` workers (default: one for each core)")
	flags.StringVar(&f.transport, "transport", "shm:", "`URL` of the transport to the workers; see 'rfaas devices'")
	flags.BoolVar(&f.trust, "trust-network", false, trustUsage)
	addMode(flags, &f.mode)
	flags.DurationVar(&f.timeout, "timeout", defaultTimeout, "give up on a call after this `TIME`; 0 for never")
	flags.Var(&f.slotBytes, "slot-bytes", slotBytesUsage)
	f.code.manifest.add(flags)
	f.code.add(flags)
	neverZero(flags, "workers", "slot-bytes")
	cmd.RegisterFlagCompletionFunc("function", cobra.FixedCompletions(functionNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// run carries the command out.
func (f *runFlags) run(cmd *cobra.Command, p *program, inputs []string) error {
	function, closeFunction, err := openFunction(f.function, &f.code)
	if err != nil {
		return err
	}
	defer closeFunction()
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
		Stdout: cmd.OutOrStdout(), Log: p.logging.log,
	})
	if note != "" {
		report.Notes = append(report.Notes, note)
	}
	summary := cmd.OutOrStdout()
	if plan.Directory == "" {
		summary = p.meter // the standard output is for results
	}
	if err := report.WriteSummary(summary); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	switch {
	case report.Interrupted:
		return &exitError{exitInterrupted, nil}
	case !report.Complete():
		return &exitError{exitFailed, nil}
	}
	return nil
}

// source is where workers are leased, and for how many there is something to do. note
// remarks on it.
func (f *runFlags) source(ctx context.Context, p *program, function *function, device *transport.Device, inputs int) (from *leaser, workers int, note string, err error) {
	if f.cluster.url == "" {
		cores, note, err := f.place(inputs)
		if err != nil {
			return nil, 0, "", err
		}
		from, err = p.startNode(ctx, function, f.code.trust, device, f.transport, cores)
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
	cfg.OnOutcome = func(o job.Outcome) { p.meter.Step(o.State == job.Failed) }
	stop, abort, release := interruption(cmd.Context(), func() {
		fmt.Fprintf(p.meter, "%s: interrupted: what is running has %v; Ctrl-C again ends at once\n", cmd.CommandPath(), stopGrace)
	})
	defer release()
	if plan.Directory != "" || !isTerminal(cfg.Stdout) { // a bar and results would get mixed up
		p.meter.Begin(cfg.Function, len(plan.Inputs))
	}
	report := job.Run(stop, abort, plan, cfg)
	p.meter.End()
	report.Interrupted = stop.Err() != nil
	return report
}
