package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc/agent"
)

// billFlags are the flags of bill.
type billFlags struct {
	manager     managerFlags
	name, state string
	by          []string
	tenant      string
	since       string
	until       string
	format      string
}

func (p *program) billCommand() *cobra.Command {
	f := &billFlags{}
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "bill [--manager URL | --name NAME | --state DIR]",
		Short:                 "Show what tenants have used",
		Long: `bill shows what leases have cost, from the ledger that the agent of a node
keeps, or that of a manager, for all of its nodes: cores and memory for as
long as they were leased, the time in functions and the time polled for calls,
and calls with their bytes. Leases that have ended are there within a second,
at a manager within three; the agent may run or not.

Counts that native code keeps itself are marked as claimed: it could write any
number. The others are measured by the agent and the kernel.`,
		Example: `  rfaas bill
  rfaas bill --by tenant,day --format csv > bill.csv
  rfaas bill --manager http://` + defaultManagerAddress + ` --by tenant,node
  rfaas bill --by lease --tenant alice --since 2026-11-01`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), p, cmd.OutOrStdout()) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.manager.add(flags, "; of all its nodes (default: of this one)")
	flags.StringVar(&f.name, "name", "", "`NAME` of the node (default: that of the machine)")
	flags.StringVar(&f.state, "state", "", "`DIR` of its agent's state (default: as for 'rfaas agent')")
	flags.StringSliceVar(&f.by, "by", []string{"tenant"}, "a row for each of `WHAT`: tenant, lease (not with --manager), node, day, or several of them, separated by commas")
	flags.StringVar(&f.tenant, "tenant", "", "only this `TENANT`")
	flags.StringVar(&f.since, "since", "", "from this `DAY` on, as in 2026-11-29")
	flags.StringVar(&f.until, "until", "", "before this `DAY`")
	flags.StringVar(&f.format, "format", "table", "`FORMAT`: table, csv, json")
	return cmd
}

func (f *billFlags) run(ctx context.Context, p *program, out io.Writer) (err error) {
	if _, _, err := f.selection(); err != nil {
		return err
	}
	if f.manager.url != "" {
		return f.ask(ctx, p, out)
	}
	if f.state == "" {
		if f.name == "" {
			if f.name, err = os.Hostname(); err != nil {
				return usageError("which node? name it with --name: %w", err)
			}
		}
		if f.state, err = stateFolder("agent-" + f.name); err != nil {
			return err
		}
	}
	return f.write(out, agent.LedgerPath(f.state))
}

// write writes the bill from a ledger.
func (f *billFlags) write(out io.Writer, ledger string) error {
	by, filter, err := f.selection()
	if err != nil {
		return err
	}
	bill, err := accounting.MakeBill(accounting.ReadLedger(ledger), by, filter)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no ledger %s: has there been an agent here? name it with --name, or its folder with --state", ledger)
	}
	if err != nil {
		return err
	}
	switch f.format {
	case "csv":
		return bill.WriteCSV(out)
	case "json":
		return bill.WriteJSON(out)
	}
	return bill.WriteTable(out)
}

// ask has a manager make the bill.
func (f *billFlags) ask(ctx context.Context, p *program, out io.Writer) error {
	if f.state != "" || f.name != "" {
		return usageError("--manager, --state and --name: the bill is either a cluster's or a node's")
	}
	if slices.Contains(f.by, "lease") {
		return usageError("--by lease: only nodes know their leases: ask one of them, without --manager")
	}
	_, as, err := f.manager.open(p)
	if err != nil {
		return err
	}
	q := url.Values{"by": f.by, "tenant": {f.tenant}, "since": {f.since}, "until": {f.until}, "format": {f.format}}
	text, err := as.do(ctx, http.MethodGet, strings.TrimSuffix(f.manager.url, "/")+billPath+"?"+q.Encode())
	if err != nil {
		return fmt.Errorf("--manager %s: %w", f.manager.url, err)
	}
	_, err = out.Write(text)
	return err
}

// selection reads the flags.
func (f *billFlags) selection() (by accounting.By, filter accounting.Filter, err error) {
	for _, what := range f.by {
		switch what {
		case "tenant":
			by.Tenant = true
		case "lease":
			by.Lease = true
		case "node":
			by.Node = true
		case "day":
			by.Day = true
		default:
			return by, filter, usageError("--by %s: must be of tenant, lease, node, day", strings.Join(f.by, ","))
		}
	}
	if f.format != "table" && f.format != "csv" && f.format != "json" {
		return by, filter, usageError("--format %s: must be table, csv or json", f.format)
	}
	filter.Tenant = f.tenant
	for _, d := range []struct {
		flag, text string
		into       *time.Time
	}{{"--since", f.since, &filter.Since}, {"--until", f.until, &filter.Until}} {
		if d.text == "" {
			continue
		}
		if *d.into, err = time.Parse(time.DateOnly, d.text); err != nil {
			return by, filter, usageError("%s %s: must be a day, as in 2026-11-29", d.flag, d.text)
		}
	}
	return by, filter, nil
}
