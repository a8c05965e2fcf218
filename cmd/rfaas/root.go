package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/progress"
)

// group makes a command that only has others.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	var names []string
	for _, c := range commands {
		names = append(names, c.Name())
	}
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(*cobra.Command, []string) error {
		return usageError("which command? there are: %s", strings.Join(names, ", "))
	}
	cmd.AddCommand(commands...)
	return cmd
}

// needArgs refuses less than least arguments, or more than most; missing says what is.
func needArgs(least, most int, missing string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError("%s", missing)
		}
		return nil
	}
}

// writeJSON writes values, one a line.
func writeJSON[T any](w io.Writer, all ...T) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, v := range all {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}

// program is what the commands share.
type program struct {
	meter   *progress.Meter // on the standard error
	logging logging
	begun   bool // a command is carried out: the command line was understood
}

// execute carries out a command line and returns the exit status.
func execute(args []string) int {
	p := &program{meter: progress.New(os.Stderr)}
	root := p.rootCommand()
	root.SetArgs(args)
	out := &standardOutput{file: os.Stdout}
	root.SetOut(out)
	command, err := root.ExecuteC()
	if err == nil {
		err = out.err()
	}
	if err == nil {
		return exitOK
	}
	if unwritten := out.err(); !p.begun && (unwritten == nil || !errors.Is(err, unwritten)) {
		err = &exitError{exitUsage, err}
	}
	status, message := statusOf(err)
	if message != nil {
		fmt.Fprintf(p.meter, "%s: %s\n", command.CommandPath(), told(command.Name(), message))
	}
	if status == exitUsage {
		fmt.Fprintf(p.meter, "See '%s --help'.\n", command.CommandPath())
	}
	return status
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "rfaas",
		Short: "Call functions on other cores with microsecond latency",
		Long: `rfaas calls functions in other processes within microseconds, over shared memory
and other transports. It maps a function over files, measures what the
transports can do, and shows what this machine has.`,
		Example: `  Make thumbnails of all photographs, on all cores:
    rfaas run -f thumbnailer -o thumbnails photos/*.jpg

  Price options:
    rfaas run -f black-scholes options.csv

  How long does a call take here?
    rfaas bench invoke-lat`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       versionOfThis(),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.logging.start(p.meter); err != nil {
				return err
			}
			p.begun = true
			return nil
		},
	}
	root.PersistentFlags().SortFlags = false
	p.logging.flags(root.PersistentFlags())
	root.AddCommand(p.runCommand(), p.invokeCommand(), p.managerCommand(), p.agentCommand(), p.nodesCommand(), p.leaseCommand(), p.drainCommand(), p.billCommand(), p.benchCommand(), p.devicesCommand(), p.roceCommand(), p.rxeCommand(), p.packCommand(), p.inspectCommand(), p.cacheCommand(), p.versionCommand(), p.completionCommand(), p.executorCommand())
	root.SetUsageTemplate(root.UsageTemplate() + "\n" + exitHelp + "\n")
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Version}}\n")
	completeFlags(root)
	checkFlags(root)
	return root
}
