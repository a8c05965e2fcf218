package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/agent"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// executorConfig is how an executor works. The agent's process hands it over as
// arguments.
type executorConfig struct {
	transport string
	mode      invoke.Mode
	slotBytes int
}

const executorName = "executor"

// args are the arguments that start such an executor.
func (c *executorConfig) args(l *logging) []string {
	slot := byteSize(c.slotBytes)
	return append([]string{executorName, "--transport", c.transport, "--mode", c.mode.String(), "--slot-bytes", slot.String()}, l.args()...)
}

func (p *program) executorCommand() *cobra.Command {
	c := &executorConfig{}
	var slotBytes byteSize
	cmd := &cobra.Command{
		Use:    executorName,
		Hidden: true,
		Short:  "Execute functions for the process that started this one",
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.slotBytes = int(slotBytes)
			ready := false
			err := c.serve(cmd.Context(), p, func(address string) error {
				ready = true
				return agent.WriteReady(os.Stdout, address)
			})
			if err != nil && !ready {
				agent.WriteFailed(os.Stdout, err)
				err = &exitError{exitFailed, nil} // the agent says it
			}
			return err
		},
	}
	cmd.Flags().StringVar(&c.transport, "transport", "shm:", "`URL` of the transport")
	cmd.Flags().TextVar(&c.mode, "mode", invoke.DefaultMode, "how to wait for calls")
	cmd.Flags().Var(&slotBytes, "slot-bytes", "largest input and result")
	return cmd
}

// executorGrace is how long a function may go on when its executor has been
// asked to end.
const executorGrace = time.Second

// serve executes functions until the standard input ends: then the agent wants
// it, or is gone. ready is called when clients can connect.
func (c *executorConfig) serve(ctx context.Context, p *program, ready func(address string) error) error {
	if runtime.GOMAXPROCS(0) == 1 {
		// A pinned executor has one processor. With a scheduler of one place, the
		// polling loop would leave sockets to the runtime's monitor, which looks at
		// them every 10 ms: so long would a first call take.
		runtime.GOMAXPROCS(2)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
		time.AfterFunc(executorGrace, func() { os.Exit(exitFailed) })
	}()
	device, err := transport.Open(c.transport)
	if err != nil {
		return err
	}
	defer device.Close()
	registry := invoke.NewRegistry()
	if err := register(registry); err != nil {
		return err
	}
	log := p.logging.log.With("process", os.Getpid())
	worker, err := invoke.NewWorker(device, registry, invoke.WorkerConfig{
		Slots: 1, SlotBytes: c.slotBytes, MaxClients: 1, Mode: c.mode, Logger: log,
	})
	if err != nil {
		return err
	}
	listener, err := device.Listen("unix", executorAddress())
	if err != nil {
		worker.Close()
		return err
	}
	defer listener.Close()
	if err := ready(listener.Addr().String()); err != nil {
		worker.Close()
		return err
	}
	return worker.Serve(ctx, listener)
}

// executorAddress is an address that leaves nothing in the file system, and that
// nobody else has.
func executorAddress() string {
	var b [16]byte
	rand.Read(b[:])
	return "@rfaas-" + hex.EncodeToString(b[:])
}
