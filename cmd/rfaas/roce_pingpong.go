package main

import (
	"fmt"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/pingpong"
	"github.com/rfaas-go/rfaas/transport"
)

// pingpongFlags are the flags of roce pingpong.
type pingpongFlags struct {
	config    pingpong.Config
	size      byteSize
	transport string
}

// The tool's defaults, but for the last.
const (
	pingpongPort       = 18515
	pingpongSize       = 4096
	pingpongIterations = 1000
	pingpongMTU        = 1024
	pingpongRxDepth    = 500
	pingpongTimeout    = time.Minute
)

func (p *program) rocePingpongCommand() *cobra.Command {
	f := &pingpongFlags{size: pingpongSize}
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "pingpong [HOST]",
		Short:                 "Send messages to and fro with ibv_rc_pingpong or another rfaas",
		Long: `pingpong sends a message to and fro between two ends of a RoCEv2 reliable
connection, and tells how long that takes. Without HOST it is the server, which
waits for one client; with HOST it is the client of the server there.

The other end is another 'rfaas roce pingpong' or the tool ibv_rc_pingpong of
libibverbs (Debian package ibverbs-utils): the handshake, over TCP, the flags
and the output are the tool's. So it shows whether this machine's RDMA and
another's understand each other, with the transport softroce where there is no
adapter. Both ends need the same --port, --size, --iters, --mtu and --chk.

The tool has to be given the index of a RoCE v2 GID (-g) of the address family
that --transport has here. What the tool has flags for and this command has not,
device, port, GID and service level, is part of the URL of the transport.

The handshake is neither encrypted nor authenticated; nor is RoCE. A server
listens on all addresses.`,
		Example: `  Two ends on this machine:
    rfaas roce pingpong
    rfaas roce pingpong 127.0.0.1

  Against the tool, on a machine with an adapter or the kernel's Soft-RoCE:
    ibv_rc_pingpong -d rxe0 -g 1
    rfaas roce pingpong 192.0.2.7 --transport softroce://192.0.2.8?trust-network`,
		Args: needArgs(0, 1, "one HOST, that of the server, or none to be the server"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if args[0] == "" {
					return usageError("the client of which HOST?")
				}
				f.config.Host = args[0]
			}
			return f.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.transport, "transport", "softroce", "`URL` of the transport, one that speaks RoCE; see 'rfaas devices'")
	flags.IntVarP(&f.config.Port, "port", "p", pingpongPort, "TCP `PORT` of the server, for the handshake; a server with 0 chooses one that is free")
	flags.VarP(&f.size, "size", "s", "`BYTES` of a message")
	flags.IntVarP(&f.config.Iterations, "iters", "n", pingpongIterations, "send `N` messages from each end")
	flags.IntVarP(&f.config.MTU, "mtu", "m", pingpongMTU, "path MTU, in `BYTES`: 256, 512, 1024, 2048 or 4096")
	flags.IntVarP(&f.config.RxDepth, "rx-depth", "r", pingpongRxDepth, "post `N` receives at a time")
	flags.BoolVarP(&f.config.Check, "chk", "c", false, "compare all of every message with what it should be; the tool looks at the last message to the server")
	flags.BoolVarP(&f.config.Events, "events", "e", false, "sleep until something comes, do not poll")
	flags.DurationVar(&f.config.Timeout, "timeout", pingpongTimeout, "give up when there is no sign of the other end for this `DURATION`, from the beginning on")
	return cmd
}

// run plays, and prints what the tool prints.
func (f *pingpongFlags) run(cmd *cobra.Command) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), endingSignals()...)
	defer stop()
	dev, err := transport.Open(f.transport)
	if err != nil {
		return openError(transportFlag{f.transport, "--transport"}, err)
	}
	defer dev.Close()
	out := cmd.OutOrStdout()
	config := f.config
	config.Size = int(f.size)
	config.OnListen = func(port int) {
		if f.config.Port == 0 {
			fmt.Fprintf(out, "  listening:      TCP port %d\n", port)
		}
	}
	config.OnLocal = func(a pingpong.Address) { fmt.Fprintf(out, "  local address:  %v\n", a) }
	config.OnRemote = func(a pingpong.Address) { fmt.Fprintf(out, "  remote address: %v\n", a) }
	result, err := pingpong.Run(ctx, dev, config)
	switch {
	case err != nil && ctx.Err() != nil:
		return &exitError{exitInterrupted, errInterrupted}
	case err != nil:
		return asUsage[*pingpong.FlagError](err)
	}
	return result.Write(out)
}
