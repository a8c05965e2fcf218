// Book measures everything there is on this machine, this project's transports and
// what people would use instead of them, and writes two pages about it:
//
//	go run ./benchmarks/book --out book
//
// index.html needs nothing beside it; README.md shows the plots that are files in the
// folder. Figures of different machines do not compare, and those of different rounds
// only a little: each is the median over rounds in which all series take turns, and
// what counts is its ratio to the section's base series.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/benchmarks"
	"github.com/rfaas-go/rfaas/examples/echo"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

func main() {
	runPartIfAsked()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "interrupted; no page was written")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "book:", err)
		os.Exit(1)
	}
}

// runPartIfAsked makes this process the part of a measurement that it was started for,
// and does not return then.
func runPartIfAsked() {
	benchmarks.RunPeerIfAsked()
	if len(os.Args) < 2 {
		return
	}
	var err error
	switch os.Args[1] {
	case "executor": // see executor.Config.Command
		h := executor.Host{Functions: map[string]invoke.Function{echo.Name: echo.Function}}
		err = h.Run(context.Background())
	case endName:
		err = runEnd(os.Args[2:], os.Stdout)
	default:
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// options are what the flags say.
type options struct {
	out    string
	quick  bool
	rounds int
	only   []string

	tiny     bool // for tests: hardly any iterations
	progress io.Writer
	command  string // that makes the same pages
}

const (
	defaultRounds = 5
	quickRounds   = 1
)

func newCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "book",
		Short: "Measure this machine, this project and its peers, and write pages about it",
		Long: `book measures this project's transports and invocations, and what is used instead
of them, in turns, and writes index.html and README.md into a folder. Peers that are
not installed are listed with what to install. Nothing is written before everything
was measured.

Sections: ` + strings.Join(sectionNames(), ", "),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("rounds") && o.quick {
				o.rounds = quickRounds
			}
			o.progress = cmd.ErrOrStderr()
			o.command = benchmarks.ShellWords(append([]string{"go", "run", "./benchmarks/book"}, os.Args[1:]...)...)
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.out, "out", "book", "`DIR` for the pages")
	flags.BoolVar(&o.quick, "quick", false, "fewer sizes, iterations and rounds: a minute in all")
	flags.IntVar(&o.rounds, "rounds", defaultRounds, "measure each figure in `N` rounds")
	flags.StringSliceVar(&o.only, "only", nil, "measure these `SECTIONS` only, separated by commas")
	return cmd
}

// check refuses what cannot be measured.
func (o *options) check() error {
	if o.rounds < 1 || o.rounds > 1000 {
		return fmt.Errorf("--rounds %d: must be 1 to 1000", o.rounds)
	}
	for _, name := range o.only {
		if !slices.Contains(sectionNames(), name) {
			return fmt.Errorf("--only %s: there is no such section; there are %s", name, strings.Join(sectionNames(), ", "))
		}
	}
	return nil
}

// run measures and writes.
func (o *options) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	m, err := lookAtMachine(ctx)
	if err != nil {
		return err
	}
	var measured []*measurement
	for _, s := range newSections(m, o.effort()) {
		if len(o.only) > 0 && !slices.Contains(o.only, s.name) {
			continue
		}
		r, err := s.measure(ctx, o.rounds, o.progress)
		if err != nil {
			return err
		}
		measured = append(measured, r)
	}
	p, err := newPage(m, o, measured)
	if err != nil {
		return err
	}
	if err := p.write(o.out); err != nil {
		return err
	}
	fmt.Fprintln(o.progress, "wrote", filepath.Join(o.out, htmlName), "and", filepath.Join(o.out, markdownName))
	return nil
}

func (o *options) effort() effort {
	switch {
	case o.tiny:
		return tiny
	case o.quick:
		return quick
	}
	return full
}

// errNotMeasured means that a program does not measure what a setting asks for.
var errNotMeasured = errors.New("not measured by this program")
