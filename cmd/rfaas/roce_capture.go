package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// captureFlags are the flags of roce capture.
type captureFlags struct {
	limit byteSize
	snap  int
}

const (
	defaultCaptureLimit = 1 << 30
	maxSnapBytes        = 1<<16 - 1 // the longest IP packet
)

// capturable are the commands that capture runs: those that move much over a transport, and end
// by themselves when they are interrupted.
var capturable = []string{"bench", "run"}

func (p *program) roceCaptureCommand() *cobra.Command {
	f := &captureFlags{limit: defaultCaptureLimit}
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "capture [--limit BYTES] [--snaplen BYTES] FILE COMMAND [ARG...]",
		Short:                 "Run another command and capture its RoCEv2 packets",
		Long: `capture runs another command of rfaas (` + strings.Join(capturable, ", ") + `) and writes the packets that
its softroce transport sends and receives to FILE, as pcap for Wireshark, tshark
and 'rfaas roce dump'. It needs no privilege, as packets are taken within the
transport: what is sent as it leaves it, what is received once its ICRC is
verified. Processes that the command starts are seen as the other end only.

The command does not wait for the disk. Packets for which there is no room any
more are dropped from the capture, and only from it; the last line on the
standard error counts them.

FILE appears, and replaces what has that name, when the command has ended: also
when it failed, or was interrupted; what was captured until then is kept. When
FILE cannot be written, as on a full disk, the command continues without a
capture. There is none either when the command did not use softroce.

The exit status is that of the command, or 1 when only the capture failed.`,
		Example: `  rfaas roce capture x.pcap bench write-lat --transport softroce --iterations 1000

  Between two addresses of one's choice:
    rfaas roce capture x.pcap bench write-lat --transport softroce://127.0.0.1 \
      --peer-transport softroce://127.0.0.2 --iterations 1000

  The headers of many packets, and what they say:
    rfaas roce capture --snaplen 96 x.pcap run -f echo --transport softroce *.txt
    rfaas roce dump x.pcap`,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, p, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.SetInterspersed(false) // those behind FILE are the command's
	flags.Var(&f.limit, "limit", "stop capturing when FILE has so many `BYTES`; 0 for never")
	flags.IntVar(&f.snap, "snaplen", maxSnapBytes, "keep so many `BYTES` of each packet, from its IP header on; the ICRC, at its end, can then not be verified")
	return cmd
}

// check refuses what can be seen to be wrong from the command line alone.
func (f *captureFlags) check(args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return usageError("to which FILE?")
	case args[0] == "-":
		return usageError("-: the standard output is the command's; name a file")
	case len(args) == 1:
		return usageError("which command? capture runs one of: %s", strings.Join(capturable, ", "))
	case strings.HasPrefix(args[1], "-"):
		return usageError("%s: flags of capture go before FILE, those of the command behind it", args[1])
	case !slices.Contains(capturable, args[1]):
		return usageError("%s is no command that capture runs; those are: %s", args[1], strings.Join(capturable, ", "))
	case f.snap < 1 || f.snap > maxSnapBytes:
		return usageError("--snaplen %d: must be 1 to %d", f.snap, maxSnapBytes)
	}
	return nil
}

// run carries the command out.
func (f *captureFlags) run(cmd *cobra.Command, p *program, args []string) error {
	if err := f.check(args); err != nil {
		return err
	}
	c, err := f.begin(args[0], func(format string, args ...any) {
		fmt.Fprintf(p.meter, "%s: %s\n", cmd.CommandPath(), fmt.Sprintf(format, args...))
	})
	if err != nil {
		return err
	}
	// The command minds signals itself. This makes sure that the capture is kept
	// even if the command does not end: the program does, a little after abort.
	_, abort, release := interruption(cmd.Context(), stopGrace, func() {})
	defer release()
	ended := make(chan error, 1)
	go func() { ended <- p.runWithin(cmd, args[1:]) }()
	select {
	case result := <-ended:
		return worse(result, c.end(!isUsage(result)))
	case <-abort.Done():
		problem := c.end(true)
		return worse(<-ended, problem)
	}
}

// runWithin runs a command line as another one of this program.
func (p *program) runWithin(cmd *cobra.Command, args []string) error {
	inner := &program{meter: p.meter, logging: p.logging} // and it logs alike, if nothing else is said
	root := inner.rootCommand()
	root.SetArgs(args)
	root.SetIn(cmd.InOrStdin())
	root.SetOut(cmd.OutOrStdout())
	root.SetErr(cmd.ErrOrStderr())
	command, err := root.ExecuteContextC(cmd.Context())
	if err == nil {
		return nil
	}
	if !inner.begun {
		err = &exitError{exitUsage, err}
	}
	status, message := statusOf(err)
	if message != nil {
		message = fmt.Errorf("%s: %w", command.Name(), message)
	}
	return &exitError{status, message}
}

// isUsage says whether an error is a mistake on the command line.
func isUsage(err error) bool {
	e, ok := errors.AsType[*exitError](err)
	return ok && e.status == exitUsage
}

// worse is the error of a command whose capture had a problem, or not: the status
// is the command's if it failed.
func worse(result, problem error) error {
	if problem == nil {
		return result
	}
	status, message := statusOf(result)
	return &exitError{status, errors.Join(message, problem)}
}
