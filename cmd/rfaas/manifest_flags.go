package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/rfaas-go/rfaas/invoke/pack"
)

// manifestFlags are limits, arguments and form of bare code: a package has those of its
// manifest.
type manifestFlags struct {
	arguments []string
	warm      bool
	time      time.Duration
	memory    byteSize
	stack     byteSize
	given     func(flag string) bool // nil: the command has no such flags
}

// limitsHelp says where code gets its limits from, for help texts.
const limitsHelp = `A FILE that is no package has 256 MiB of memory and 1 minute for a call, and a
.so a stack of 8 MiB; --memory, --time-limit and --stack say otherwise. A
package has what its manifest says (rfaas pack). With --trust-code a FILE
that is no package has no limit of time unless --time-limit is given, and a .so
and a program have none of memory.`

func (f *manifestFlags) add(flags *pflag.FlagSet) {
	flags.DurationVar(&f.time, "time-limit", 0, "longest `TIME` of a call of a FILE that is no package (default 1m)")
	flags.Var(&f.memory, "memory", "memory of a FILE that is no package: a `SIZE` (default 256MiB)")
	flags.Var(&f.stack, "stack", "stack of a call of a .so FILE: a `SIZE` (default 8MiB)")
	flags.StringArrayVar(&f.arguments, "argument", nil, "`ARGUMENT` of a program, {} for the file with the input; repeat it for more")
	flags.BoolVar(&f.warm, "warm", false, "start a program once: it serves calls (see examples/python)")
	neverZero(flags, "time-limit", "memory", "stack")
	f.given = flags.Changed
}

// edit changes the manifest of bare code as the flags say.
func (f *manifestFlags) edit(m *pack.Manifest) error {
	if f.given == nil {
		return nil
	}
	m.Arguments, m.Warm = f.arguments, f.warm
	m.TimeLimit.Duration, m.MemoryBytes, m.StackBytes = f.time, int64(f.memory), int64(f.stack)
	return nil
}

// limits reports whether any limit was given.
func (f *manifestFlags) limits() bool {
	return f.given != nil && (f.given("time-limit") || f.given("memory") || f.given("stack"))
}

// refuse is an error if any of them is given to what has its own.
func (f *manifestFlags) refuse(function string, packaged bool) error {
	for _, name := range []string{"time-limit", "memory", "stack", "argument", "warm"} {
		switch {
		case f.given == nil || !f.given(name):
		case packaged:
			return usageError("--%s: %s is a package, whose manifest says that: make it with rfaas pack --%s", name, function, name)
		default:
			return usageError("--%s: %s comes with the program, and has nothing of the kind; leave it out", name, function)
		}
	}
	return nil
}
