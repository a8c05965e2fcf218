package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/rfaas-go/rfaas/invoke/pack"
)

// limitFlags are limits, arguments and form of bare code: a package has those of its
// manifest.
type limitFlags struct {
	arguments []string
	warm      bool
	time      time.Duration
	memory    byteSize
	stack     byteSize
	given     func(flag string) bool // nil: the command has no such flags
}

// limitsHelp says where code gets its limits from, for help texts.
const limitsHelp = `A .so or .wasm FILE has 256 MiB of memory and 1 minute for a call, and a .so a
stack of 8 MiB; --memory, --time-limit and --stack say otherwise. A package has
what its manifest says (rfaas pack). With --trust-code a .so has all memory, and
a .so or .wasm FILE all the time, unless --time-limit is given.`

func (l *limitFlags) add(flags *pflag.FlagSet) {
	flags.DurationVar(&l.time, "time-limit", 0, "longest `TIME` of a call of a .so or .wasm FILE (default 1m)")
	flags.Var(&l.memory, "memory", "memory of a .so or .wasm FILE: a `SIZE` (default 256MiB)")
	flags.Var(&l.stack, "stack", "stack of a call of a .so FILE: a `SIZE` (default 8MiB)")
	flags.StringArrayVar(&l.arguments, "argument", nil, "`ARGUMENT` of a program, {} for the file with the input; repeat it for more")
	flags.BoolVar(&l.warm, "warm", false, "start a program once: it serves calls (see examples/python)")
	l.given = flags.Changed
}

// limit sets the limits in the manifest of bare code.
func (l *limitFlags) limit(m *pack.Manifest) error {
	if l.given == nil {
		return nil
	}
	for name, zero := range map[string]bool{"time-limit": l.time == 0, "memory": l.memory == 0, "stack": l.stack == 0} {
		if zero && l.given(name) {
			return needsValue(name)
		}
	}
	m.Arguments, m.Warm = l.arguments, l.warm
	m.TimeLimit.Duration, m.MemoryBytes, m.StackBytes = l.time, int64(l.memory), int64(l.stack)
	return nil
}

// refuse is an error if limits are given to what has its own.
func (l *limitFlags) refuse(function string, packaged bool) error {
	for _, name := range []string{"time-limit", "memory", "stack", "argument", "warm"} {
		switch {
		case l.given == nil || !l.given(name):
		case packaged:
			return usageError("--%s: %s is a package, whose manifest says that: make it with rfaas pack --%s", name, function, name)
		default:
			return usageError("--%s: %s comes with the program, and has no such limit; leave it out", name, function)
		}
	}
	return nil
}

// needsValue is the error of a limit of 0.
func needsValue(flag string) error {
	return usageError("--%s: needs a value; leave it out for the default", flag)
}
