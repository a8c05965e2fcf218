package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rfaas-go/rfaas/transport"
)

// shell is one that can complete command lines.
type shell struct {
	name, load, keep string // keep: for all sessions
	script           func(cmd *cobra.Command) error
}

var shells = []shell{
	{
		"bash", "source <(rfaas completion bash)", "rfaas completion bash > /etc/bash_completion.d/rfaas",
		func(cmd *cobra.Command) error { return cmd.Root().GenBashCompletionV2(cmd.OutOrStdout(), true) },
	},
	{
		"zsh", "source <(rfaas completion zsh)", `rfaas completion zsh > "${fpath[1]}/_rfaas"`,
		func(cmd *cobra.Command) error { return cmd.Root().GenZshCompletion(cmd.OutOrStdout()) },
	},
	{
		"fish", "rfaas completion fish | source", "rfaas completion fish > ~/.config/fish/completions/rfaas.fish",
		func(cmd *cobra.Command) error { return cmd.Root().GenFishCompletion(cmd.OutOrStdout(), true) },
	},
	{
		"powershell", "rfaas completion powershell | Out-String | Invoke-Expression", "rfaas completion powershell >> $PROFILE",
		func(cmd *cobra.Command) error { return cmd.Root().GenPowerShellCompletionWithDesc(cmd.OutOrStdout()) },
	},
}

func (p *program) completionCommand() *cobra.Command {
	var commands []*cobra.Command
	for _, s := range shells {
		commands = append(commands, &cobra.Command{
			Use:   s.name,
			Short: "Print the completion script for " + s.name,
			Long: fmt.Sprintf(`%s prints a script that has %[1]s complete command lines of rfaas:
commands, flags and the values of many flags. Load it in each session, or keep
it where %[1]s looks for such scripts.`, s.name),
			Example: fmt.Sprintf("  In this session:\n    %s\n\n  In all sessions from now on:\n    %s", s.load, s.keep),
			Args:    cobra.NoArgs,
			RunE:    func(cmd *cobra.Command, _ []string) error { return s.script(cmd) },
		})
	}
	return group(&cobra.Command{
		Use:   "completion",
		Short: "Print a script that has a shell complete command lines",
		Long: `completion prints a script that has a shell complete command lines of rfaas. The
script for bash needs the package bash-completion.`,
		Example: "  source <(rfaas completion bash)\n  rfaas completion fish | source",
	}, commands...)
}

// completeTransport completes the URL of a transport, which may continue after its scheme: the
// last one of several, and behind decorators.
func completeTransport(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	before := begun[:strings.LastIndexAny(begun, ",+")+1]
	var urls []string
	for _, scheme := range transport.Schemes() {
		urls = append(urls, before+scheme+":")
	}
	return urls, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeFunction completes a function: one that comes with the program, or a file.
func completeFunction(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	names := slices.DeleteFunc(functionNames(), func(name string) bool { return !strings.HasPrefix(name, begun) })
	if len(names) > 0 && begun != "" {
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveDefault
}

// completeWord completes one of some words.
func completeWord(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// completions are those of the values of flags, by the names of the flags.
var completions = map[string]cobra.CompletionFunc{
	"transport": completeTransport, "peer-transport": completeTransport,
	"mode":      completeWord("hot", "warm", "adaptive"),
	"log-level": completeWord(logLevels...), "log-format": completeWord(logFormats...),
}

// completeFlags has values of flags completed, of a command and of those below it. A command
// may have other completions of its own.
func completeFlags(cmd *cobra.Command) {
	for name, f := range completions {
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			if flag := flags.Lookup(name); flag != nil {
				_ = cmd.RegisterFlagCompletionFunc(name, f)
			}
		}
	}
	if flag := cmd.Flags().ShorthandLookup("f"); flag != nil && flag.Name == "function" { // not pack's
		_ = cmd.RegisterFlagCompletionFunc(flag.Name, completeFunction)
	}
	for _, sub := range cmd.Commands() {
		completeFlags(sub)
	}
}
