package main

import (
	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

// executorName is the command that executors are, by executor.Config's default.
const executorName = "executor"

func (p *program) executorCommand() *cobra.Command {
	return &cobra.Command{
		Use:    executorName,
		Hidden: true,
		Short:  "Execute functions for the process that started this one",
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h := executor.Host{Runtimes: runtimes, Compilers: compilers, Functions: map[string]invoke.Function{}, NewMeter: agent.NewMeter}
			for _, f := range functions {
				h.Functions[f.name] = f.call
			}
			return h.Run(cmd.Context())
		},
	}
}
