package main

import (
	"bufio"
	"math"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/rocedump"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

func (p *program) roceDumpCommand() *cobra.Command {
	var ports []uint
	d := &rocedump.Printer{}
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "dump FILE...",
		Short:                 "Print the RoCEv2 packets of captures and verify their ICRCs",
		Long: `dump prints one line for each RoCEv2 packet in captures: when it passed (UTC),
from where to where, its opcode, its queue pair and sequence number, its flags,
what its extension headers say, the bytes of its payload, and whether its ICRC
holds; DSCP and ECN (ECT(0), ECT(1), CE) when they are not zero. Opcodes without
UC, RD, UD or XRC before them are those of reliable connections. Of management
datagrams (queue pair 1) it prints the message, such as CM ConnectRequest. A
line at the end of each file counts them.

The files are pcap or pcapng, compressed with gzip or not, as tcpdump and
Wireshark write them; - is the standard input. They may be of Ethernet, IP,
loopback or Linux cooked. Packets that were captured in one piece because of
segmentation offload are taken apart. Packets in VLANs, MPLS, VXLAN, Geneve,
GRE, ERSPAN and IP are found, and their lines end with what they are in. What
may be RoCE and cannot be read (RoCE v1, fragments, IPsec, ...) is counted in
the last line, by name.

The exit status is 1 when an ICRC does not hold, a packet is malformed, or a
file is damaged. Packets that the capture cut off (tcpdump -s) cannot be
verified.`,
		Example: `  rfaas roce dump trace.pcap

  Only what is wrong, and the counts:
    rfaas roce dump --quiet *.pcap

  Live:
    tcpdump -i eth0 -U -w - udp port 4791 | rfaas roce dump -`,
		Args: needArgs(1, math.MaxInt, "which FILE? captures (pcap, pcapng), or - for the standard input"),
		RunE: func(cmd *cobra.Command, files []string) error {
			for _, port := range ports {
				if port == 0 || port > 0xffff {
					return usageError("--port %d: is no UDP port", port)
				}
				d.Ports = append(d.Ports, uint16(port))
			}
			d.Out = bufio.NewWriter(cmd.OutOrStdout())
			return d.Files(files, cmd.InOrStdin())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.UintSliceVar(&ports, "port", []uint{wire.Port}, "UDP destination `PORT` of RoCEv2, several separated by commas")
	flags.BoolVarP(&d.Quiet, "quiet", "q", false, "print only the packets with something wrong, and the counts")
	return cmd
}
