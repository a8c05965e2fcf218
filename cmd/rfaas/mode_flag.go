package main

import (
	"github.com/spf13/pflag"

	"github.com/rfaas-go/rfaas/invoke"
)

// modeKind is the type that pflag tells of a flag that is read as text: of --mode alone.
const modeKind = ""

// addMode adds the flag for the mode of waiting.
func addMode(flags *pflag.FlagSet, mode *invoke.Mode) {
	flags.TextVar(mode, "mode", invoke.DefaultMode, "`MODE` of waiting: hot polls, warm sleeps, adaptive:TIME polls and then sleeps")
}
