package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
)

func (p *program) leaseCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "lease",
		Short: "List and end the leases of nodes",
		Long:  `lease lists the leases of the nodes of a cluster, and ends leases.`,
		Example: `  rfaas lease list --manager http://` + defaultManagerAddress + `
  rfaas lease end node-1 3-17 --manager http://` + defaultManagerAddress,
	}, p.leaseListCommand(), p.leaseEndCommand())
}

// ownerTimeout bounds a request to an agent.
const ownerTimeout = 10 * time.Second

func (p *program) leaseListCommand() *cobra.Command {
	var at managerFlags
	var asJSON bool
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "list --manager URL [NODE...]",
		Short:                 "List leases",
		Long:                  `list lists the leases of all nodes, or of those that are named.`,
		Example:               `  rfaas lease list --manager http://` + defaultManagerAddress,
		RunE: func(cmd *cobra.Command, names []string) error {
			nodes, as, err := p.nodesNamed(cmd.Context(), &at, names)
			if err != nil {
				return err
			}
			var all []nodeLease
			var errs []error
			for i := range nodes {
				var answer struct {
					Leases []agent.LeaseInfo `json:"leases"`
				}
				if err := askOwner(cmd.Context(), as, &nodes[i], http.MethodGet, "/v1/leases", &answer); err != nil {
					errs = append(errs, err)
				}
				for _, l := range answer.Leases {
					all = append(all, nodeLease{nodes[i].ID, l})
				}
			}
			return errors.Join(append([]error{writeLeases(cmd.OutOrStdout(), all, asJSON)}, errs...)...)
		},
	}
	at.add(cmd.Flags(), "")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line instead of text")
	return cmd
}

// nodeLease is a lease as it is listed. Its JSON is for scripts.
type nodeLease struct {
	Node string `json:"node"`
	agent.LeaseInfo
}

func writeLeases(w io.Writer, all []nodeLease, asJSON bool) error {
	if asJSON {
		return writeJSON(w, all...)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "node\tlease\ttenant\tworkers\tcores\tmemory\tstate\tage\tleft")
	for _, l := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%v\t%v\n", l.Node, l.ID, l.Tenant, l.Workers, l.Cores, gib(l.MemoryBytes), l.State, l.Age.Round(time.Second), l.Left.Round(time.Second))
	}
	return t.Flush()
}

func (p *program) leaseEndCommand() *cobra.Command {
	var at managerFlags
	var reason string
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "end NODE LEASE... --manager URL",
		Short:                 "End leases, with notice",
		Long: `end gives leases of a node notice: calls that run may finish within the agent's
--notice; then their processes are ended. Tenants see the reason, and lease
workers elsewhere if they can.`,
		Example: `  rfaas lease end node-1 3-17 --manager http://` + defaultManagerAddress,
		Args:    needArgs(2, math.MaxInt, "which ones? give a NODE and the LEASEs, as 'rfaas lease list' shows them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, id := range args[1:] {
				if _, err := lease.ParseID(id); err != nil {
					return &exitError{exitUsage, err}
				}
			}
			nodes, as, err := p.nodesNamed(cmd.Context(), &at, args[:1])
			if err != nil {
				return err
			}
			var errs []error
			for _, id := range args[1:] {
				path := "/v1/leases/" + url.PathEscape(id) + "?reason=" + url.QueryEscape(reason)
				errs = append(errs, askOwner(cmd.Context(), as, &nodes[0], http.MethodDelete, path, nil))
			}
			return errors.Join(errs...)
		},
	}
	at.add(cmd.Flags(), "")
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` for the tenants")
	return cmd
}

func (p *program) drainCommand() *cobra.Command {
	var at managerFlags
	var reason string
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "drain NODE... --manager URL",
		Short:                 "Take the cores of nodes back, with notice",
		Long: `drain has nodes grant no more leases, and gives existing leases notice. Their
agents keep running, with no core free: end them when 'rfaas lease list' shows
no lease of theirs any more. Agents that are started again grant leases again.`,
		Example: `  rfaas drain node-1 --manager http://` + defaultManagerAddress + ` --reason "new kernel tonight"`,
		Args:    needArgs(1, math.MaxInt, "which NODE? 'rfaas nodes' shows them"),
		RunE: func(cmd *cobra.Command, names []string) error {
			nodes, as, err := p.nodesNamed(cmd.Context(), &at, names)
			if err != nil {
				return err
			}
			var errs []error
			for i := range nodes {
				errs = append(errs, askOwner(cmd.Context(), as, &nodes[i], http.MethodPost, "/v1/drain?reason="+url.QueryEscape(reason), nil))
			}
			return errors.Join(errs...)
		},
	}
	at.add(cmd.Flags(), "")
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` for the tenants")
	return cmd
}

// nodesNamed are nodes that a manager knows, all of them if there are no names.
func (p *program) nodesNamed(ctx context.Context, at *managerFlags, names []string) ([]manager.Node, *clientCredentials, error) {
	m, as, err := at.open(p)
	if err != nil {
		return nil, nil, err
	}
	s, err := m.Nodes(ctx)
	if err != nil || len(names) == 0 {
		return s.Nodes, as, err
	}
	var found []manager.Node
	for _, name := range names {
		i := 0
		for i < len(s.Nodes) && s.Nodes[i].ID != name {
			i++
		}
		if i == len(s.Nodes) {
			return nil, nil, fmt.Errorf("the manager knows no node %q; 'rfaas nodes' shows those that it does", name)
		}
		found = append(found, s.Nodes[i])
	}
	return found, as, nil
}

// askOwner sends an agent a request of its owner.
func askOwner(ctx context.Context, as *clientCredentials, n *manager.Node, method, path string, into any) error {
	if n.Admin == "" {
		return fmt.Errorf("node %s: it has no address for its owner", n.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, ownerTimeout)
	defer cancel()
	body, err := as.do(ctx, method, n.Admin+path)
	if err != nil {
		return fmt.Errorf("node %s: %w", n.ID, err)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// maxAnswerBytes bounds what is read of an answer.
const maxAnswerBytes = 16 << 20

// do sends a request without a body, and reads the answer. One that is an error says why
// in JSON.
func (c *clientCredentials) do(ctx context.Context, method, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswerBytes))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		var why struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(body, &why) != nil || why.Error == "" {
			why.Error = answer.Status
		}
		return nil, errors.New(why.Error)
	}
	return body, nil
}
