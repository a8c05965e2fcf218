package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/alloc/manager"
)

// managerUsage is the help of the flag that names one.
const managerUsage = "`URL` of the manager, as in http://" + defaultManagerAddress

func (p *program) nodesCommand() *cobra.Command {
	var at managerFlags
	var watch, asJSON bool
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "nodes --manager URL",
		Short:                 "List the nodes of a cluster",
		Long: `nodes lists the nodes that a manager knows, and what of them is free. With -w
it keeps running, and prints a line for each change until Ctrl-C.`,
		Example: `  rfaas nodes --manager http://` + defaultManagerAddress + `
  rfaas nodes --manager http://` + defaultManagerAddress + ` --json | jq -r 'select(.free_cores > 0) | .id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, _, err := at.open(p)
			if err != nil {
				return err
			}
			if watch {
				ctx, stop := signal.NotifyContext(cmd.Context(), endingSignals()...)
				defer stop()
				return watchNodes(ctx, m, cmd.OutOrStdout(), asJSON)
			}
			s, err := m.Nodes(cmd.Context())
			if err != nil {
				return err
			}
			return writeNodes(cmd.OutOrStdout(), s.Nodes, asJSON)
		},
	}
	cmd.Flags().SortFlags = false
	at.add(cmd.Flags(), "")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "print changes as they come")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line instead of text")
	return cmd
}

func writeNodes(w io.Writer, nodes []manager.Node, asJSON bool) error {
	if asJSON {
		return writeJSON(w, nodes...)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "node\tcores\tfree\tmemory\tfree\tstate\ttransports\tlabels")
	for i := range nodes {
		n := &nodes[i]
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", n.ID, n.Cores, n.FreeCores, gib(n.MemoryBytes), gib(n.FreeBytes), stateOf(n), transportsOf(n), labelsOf(n))
	}
	return t.Flush()
}

func gib(bytes int64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

func stateOf(n *manager.Node) string {
	if n.Draining {
		return "draining"
	}
	return "ready"
}

func transportsOf(n *manager.Node) string {
	var all []string
	for _, a := range n.Addresses {
		all = append(all, a.Transport)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

func labelsOf(n *manager.Node) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(n.Labels)) {
		all = append(all, name+"="+n.Labels[name])
	}
	return strings.Join(all, ",")
}

// watchNodes prints the nodes and then each one that has changed, until the context ends.
func watchNodes(ctx context.Context, m *manager.Client, w io.Writer, asJSON bool) error {
	var view manager.View
	ended := make(chan error, 1)
	go func() { ended <- m.Watch(ctx, &view) }()
	known := map[string]string{}
	for {
		changed := view.Changed()
		now := map[string]string{}
		for _, n := range view.Nodes() {
			line := fmt.Sprintf("%s: %s, %d of %d cores and %s of %s free", n.ID, stateOf(&n), n.FreeCores, n.Cores, gib(n.FreeBytes), gib(n.MemoryBytes))
			if asJSON {
				text, err := json.Marshal(n)
				if err != nil {
					return err
				}
				line = string(text)
			}
			if now[n.ID] = line; known[n.ID] != line {
				if _, err := fmt.Fprintln(w, line); err != nil {
					return err
				}
			}
		}
		for _, id := range slices.Sorted(maps.Keys(known)) {
			if _, there := now[id]; !there {
				line := id + ": gone"
				if asJSON {
					line = fmt.Sprintf(`{"id":%q,"gone":true}`, id)
				}
				if _, err := fmt.Fprintln(w, line); err != nil {
					return err
				}
			}
		}
		known = now
		select {
		case <-changed:
		case <-ended:
			return nil
		}
	}
}
