package main

import (
	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

const executorName = "executor"

// executorArgs are the arguments that make an executor of another process of this
// program.
func executorArgs(l *logging) []string { return append([]string{executorName}, l.args()...) }

func (p *program) executorCommand() *cobra.Command {
	return &cobra.Command{
		Use:    executorName,
		Hidden: true,
		Short:  "Execute functions for the process that started this one",
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h := executor.Host{Runtimes: runtimes, Compilers: compilers, Functions: map[string]invoke.Function{}, NewMeter: agent.NewMeter, Logger: p.logging.log}
			for _, f := range functions {
				h.Functions[f.name] = f.call
			}
			return h.Run(cmd.Context())
		},
	}
}
