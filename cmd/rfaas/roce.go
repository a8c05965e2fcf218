package main

import "github.com/spf13/cobra"

func (p *program) roceCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "roce",
		Short: "Look at RoCEv2 packets, and try whether two ends understand each other",
		Long: `roce shows RoCEv2 at work: its packets are those of the softroce transport, of
the kernel's Soft-RoCE driver and of real adapters. pingpong shows whether two
of these understand each other.`,
		Example: `  rfaas roce capture x.pcap bench write-lat --transport softroce --iterations 1000
  rfaas roce dump x.pcap
  rfaas roce pingpong 192.0.2.7 --transport softroce://192.0.2.8?trust-network`,
	}, p.roceCaptureCommand(), p.roceDumpCommand(), p.rocePingpongCommand())
}
