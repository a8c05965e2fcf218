package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/softroce/rxe"
)

func (p *program) rxeCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "rxe",
		Short: "Make, list and delete RDMA devices of the kernel's Soft-RoCE",
		Long: `rxe makes an RDMA device out of an ordinary network interface, for any program
that uses libibverbs: the device is the Linux kernel's own Soft-RoCE driver,
rdma_rxe. The commands do what 'rdma link' of iproute2 does, need no other
program, and say what is missing.

The softroce transport of rfaas needs none of this.`,
		Example: `  sudo rfaas rxe add rxe0 eth0
  rfaas rxe list
  sudo rfaas rxe delete rxe0`,
	}, p.rxeAddCommand(), p.rxeListCommand(), p.rxeDeleteCommand())
}

func (p *program) rxeAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add NAME INTERFACE",
		Short: "Make an rxe device on a network interface",
		Long: `add makes an RDMA device NAME on a network INTERFACE that is there already, and
shows it. The kernel loads the module rdma_rxe for it. An interface can have one
such device, and it is gone after a reboot. It takes root, or CAP_NET_ADMIN in
the initial user namespace.

INTERFACE is an Ethernet one: a network card, a virtio interface, one end of a
veth pair. Some kernels take lo as well, others refuse it. The path MTU of RoCE
follows from the interface's: 1500 bytes allow 1024, and 4096 take 4200.

As long as the module is loaded the kernel has UDP port 4791. The transport
softroce: then takes another port by itself. A URL with an address needs one, as
softroce://127.0.0.1:4800 has, or another network namespace.`,
		Example: `  On a network card:
    sudo rfaas rxe add rxe0 eth0

  Without one, on one end of a pair of virtual interfaces:
    sudo ip link add v0 mtu 4500 type veth peer name v1 mtu 4500
    sudo ip address add 10.9.0.1/24 dev v0
    sudo ip link set v0 up && sudo ip link set v1 up
    sudo rfaas rxe add rxe0 v0`,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return usageError("which NAME, and on which INTERFACE?")
			case 1:
				return usageError("on which INTERFACE? there are: %s", strings.Join(interfaceNames(), ", "))
			case 2:
				return nil
			}
			return usageError("%d arguments: must be NAME and INTERFACE", len(args))
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return interfaceNames(), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name, netdev := args[0], args[1]
			err := rxe.Add(name, netdev)
			if errors.Is(err, rxe.ErrName) {
				return &exitError{exitUsage, err}
			} else if err != nil {
				return err
			}
			links, err := rxe.List()
			if err != nil {
				return err
			}
			links = slices.DeleteFunc(links, func(l rxe.Link) bool { return l.Name != name })
			for _, l := range links {
				if l.State == "DOWN" {
					fmt.Fprintf(p.meter, "%s: %s is down as long as %s is: sudo ip link set %s up\n", cmd.CommandPath(), name, netdev, netdev)
				}
			}
			return writeLinks(cmd.OutOrStdout(), links, false)
		},
	}
}

func (p *program) rxeListCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the rxe devices",
		Long: `list lists the RDMA devices of rxe, or with --all those of every driver: with
their state, and with the GIDs, which are their addresses, by the index that
programs ask for. It takes no privilege.`,
		Example: `  rfaas rxe list
  rfaas rxe list --json | jq -r 'select(.state == "ACTIVE") | .name'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			links, err := rxe.List()
			if err != nil {
				return err
			}
			if !all {
				links = onlyRxe(links)
			}
			if len(links) == 0 && !asJSON {
				fmt.Fprintf(p.meter, "%s: there are no rxe devices; make one with 'rfaas rxe add NAME INTERFACE'\n", cmd.CommandPath())
			}
			return writeLinks(cmd.OutOrStdout(), links, asJSON)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line instead of text")
	cmd.Flags().BoolVar(&all, "all", false, "RDMA devices of other drivers, too")
	return cmd
}

func (p *program) rxeDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete an rxe device",
		Long: `delete deletes the rxe device NAME, unless programs have it open. It deletes no
device of another driver. The network interface stays. It takes root, or
CAP_NET_ADMIN in the initial user namespace.`,
		Example: `  sudo rfaas rxe delete rxe0`,
		Args:    needArgs(1, 1, "which device? one NAME, as 'rfaas rxe list' shows it"),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if len(args) == 0 {
				names = rxeNames()
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error { return rxe.Delete(args[0]) },
	}
}

// rxeNames are the names of the rxe devices, as far as they can be known.
func rxeNames() []string {
	links, _ := rxe.List()
	var names []string
	for _, l := range onlyRxe(links) {
		names = append(names, l.Name)
	}
	return names
}

func onlyRxe(links []rxe.Link) []rxe.Link {
	return slices.DeleteFunc(links, func(l rxe.Link) bool { return !l.IsRxe() })
}

// interfaceNames are the names of the network interfaces, as far as they can be
// known.
func interfaceNames() []string {
	interfaces, _ := net.Interfaces()
	var names []string
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	return names
}

// writeLinks writes what is known of links.
func writeLinks(w io.Writer, links []rxe.Link, asJSON bool) error {
	if asJSON {
		return writeJSON(w, links...)
	}
	var b strings.Builder
	for _, l := range links {
		fmt.Fprintf(&b, "%s: %s\n", l.Name, strings.ToLower(l.State))
		fmt.Fprintf(&b, "  port        %d, %s\n", l.Port, strings.ReplaceAll(strings.ToLower(l.PhysicalState), "_", " "))
		fmt.Fprintf(&b, "  driver      %s\n", orNone(l.Driver))
		fmt.Fprintf(&b, "  interface   %s\n", orNone(l.Interface))
		fmt.Fprintf(&b, "  node GUID   %s\n", l.NodeGUID)
		for _, g := range l.GIDs {
			fmt.Fprintf(&b, "  GID %-7d %s, %s\n", g.Index, g.Address, g.Type)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// orNone is a text, or none for an empty one.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
