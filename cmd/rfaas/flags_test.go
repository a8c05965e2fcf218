package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// mistake is what a command line is refused with.
func mistake(t *testing.T, args ...string) string {
	t.Helper()
	root := (&program{}).rootCommand()
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	err := root.Execute()
	require.Error(t, err, args)
	return err.Error()
}

// allCommands are a command and those below it.
func allCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		all = append(all, allCommands(sub)...)
	}
	return all
}

// Of two values of a flag that takes one, one would be ignored.
func TestFlagsGivenTwice(t *testing.T) {
	t.Parallel()
	samples := map[string]string{
		"string": "x", "int": "1", "float64": "1", "duration": "1s", "bool": "true", "size": "1", "sizes": "1", modeKind: "hot",
	}
	tried := 0
	for _, cmd := range allCommands((&program{}).rootCommand()) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			value, ok := samples[f.Value.Type()]
			if !ok || f.Name == "help" {
				return
			}
			tried++
			flag := "--" + f.Name + "=" + value
			err := cmd.ParseFlags([]string{flag, flag})
			require.Error(t, err, "%s %s", cmd.CommandPath(), flag)
			require.EqualError(t, flagError(cmd, err), "--"+f.Name+": given twice; it takes one value: leave one of them out", cmd.CommandPath())
		})
	}
	require.Greater(t, tried, 50)
	require.Equal(t, "--log-level: given twice; it takes one value: leave one of them out", mistake(t, "--log-level", "info", "version", "--log-level", "warn"))
	require.Equal(t, "--output: given twice; it takes one value: leave one of them out", mistake(t, "run", "-o", "a", "--output=b"))

	cmd := (&program{}).agentCommand()
	checkFlags(cmd)
	require.NoError(t, cmd.ParseFlags([]string{"--transport", "a:", "--transport", "b:", "--label", "x=1", "--label", "y=2"}), "lists take several")
}

// Mistakes in flags are told in words that are those of the command line, not of what reads it.
func TestFlagErrors(t *testing.T) {
	t.Parallel()
	for want, args := range map[string]string{
		"--workers abc: must be a whole number":                                             "run --workers abc",
		"--workers 1.5: must be a whole number":                                             "run --workers 1.5",
		`--workers "": must be a whole number`:                                              "run --workers=",
		"--workers 99999999999999999999: is out of range":                                   "run --workers 99999999999999999999",
		"--timeout 5: must be a time with a unit, such as 300ms or 5m":                      "run --timeout 5",
		"--mode tepid: must be hot, warm, adaptive or adaptive:TIME, such as adaptive:50us": "run --mode tepid",
		"--slot-bytes 1kb: must be a number of bytes, such as 65536, 64KiB or 1GiB":         "invoke --slot-bytes 1kb",
		"--json maybe: must be true or false":                                               "devices --json=maybe",
		"--yield-load much: must be a number":                                               "agent --yield-load much",
		"--label x: must be NAME=VALUE":                                                     "agent --label x",
		"--port a: must be whole numbers, separated by commas":                              "roce dump --port a x",
		"--output: needs a value":                                                           "run -o",
		"--transport: needs a value":                                                        "run --transport",
		"--=x: is no flag":                                                                  "run --=x",
		"unknown flag: --frob":                                                              "run --frob",
		"--workers 0: must be more than 0; leave it out for the default":                    "run --workers 0",
		"--slot-bytes 0KiB: must be more than 0; leave it out for the default":              "run --slot-bytes 0KiB",
		"--cores 0: must be more than 0; leave it out for the default":                      "agent --cores 0",
		"--memory 0: must be more than 0; leave it out for the default":                     "agent --memory 0",
		"--tenant-cores 0: must be more than 0; leave it out for the default":               "agent --tenant-cores 0",
		"--tenant-memory 0: must be more than 0; leave it out for the default":              "agent --tenant-memory 0",
		"--max-life 0s: must be more than 0; leave it out for the default":                  "agent --max-life 0s",
		"--time-limit 0h: must be more than 0; leave it out for the default":                "pack --time-limit 0h x",
	} {
		require.Equal(t, want, mistake(t, strings.Fields(args)...), args)
	}
	// These say so themselves.
	for _, args := range []string{"invoke echo --threads 0", "invoke echo --repeat 0", "roce capture --snaplen 0 x run", "roce pingpong --size 0", "roce pingpong --iters 0", "roce pingpong --timeout 0s", "roce pingpong --rx-depth 0"} {
		require.Regexp(t, `^--[a-z-]+ 0s?: must be (1 to \d+|more than 0)$`, mistake(t, strings.Fields(args)...), args)
	}
	require.NotContains(t, (&program{}).runCommand().UsageString(), "(default 0s)")
	status, _, stderr := run(t, t.TempDir(), "run", "--workers", "0")
	require.Equal(t, exitUsage, status)
	require.Equal(t, "rfaas run: --workers 0: must be more than 0; leave it out for the default\nSee 'rfaas run --help'.\n", stderr)
}
