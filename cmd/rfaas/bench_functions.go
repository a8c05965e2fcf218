package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/rfaas-go/rfaas/benchmarks"
	"github.com/rfaas-go/rfaas/examples/echo"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// benchFunctionsHelp is about the tests that call functions.
const benchFunctionsHelp = `invoke-lat calls a function that does nothing, in Go, unless --function names
others, which are then called in turns, and compared with the echo in Go:
each in a process of its own, as 'rfaas run' has it. Its input is zeros. An echo
for a comparison that is fair can be made of examples/native/src/functions.c
and of benchmarks/testdata/echo_wasm.c.`

// openFunctions finds the functions to measure: the echo in Go, which the others
// are compared with, and those. close is to be called when they are not needed any
// more.
func (f *benchFlags) openFunctions(ctx context.Context, p *program) (found []benchmarks.Function, close func(), err error) {
	var closers []func()
	close = func() {
		for _, c := range closers {
			c()
		}
	}
	if len(f.functions) > 0 {
		remove, err := ownCache()
		if err != nil {
			return nil, nil, err
		}
		closers = append(closers, remove)
	}
	for _, name := range slices.Compact(append([]string{echo.Name}, f.functions...)) {
		function, closeFunction, err := openFunction(name, &f.code)
		if err != nil {
			close()
			return nil, nil, err
		}
		closers = append(closers, closeFunction)
		executors := executor.Config{
			Confine: function.confinement(f.code.trust),
			Output:  p.logging.outputTo(p.meter), Logger: p.logging.log,
		}
		if err := function.compile(ctx, executors); err != nil {
			close()
			return nil, nil, err
		}
		found = append(found, benchmarks.Function{Label: filepath.Base(name), Order: function.order(), Executors: executors})
	}
	return found, close, nil
}

// confinement is how executors of the function are isolated: not at all if it is this
// program's own.
func (f *function) confinement(trust bool) *confine.Policy {
	if f.code == nil || trust {
		return nil
	}
	policy := confine.DefaultPolicy()
	policy.Otherwise = withoutIsolation
	return &policy
}

// compile compiles the function's code for executors that are isolated.
func (f *function) compile(ctx context.Context, executors executor.Config) error {
	if executors.Confine == nil {
		return nil
	}
	s, err := executor.New(executors)
	if err != nil {
		return notIsolated(err)
	}
	defer s.Close(0)
	p := f.describe()
	err = compileProgram(ctx, s, p)
	f.code.compiled = p.Compiled
	return err
}

// order is what is wanted of an executor of the function.
func (f *function) order() executor.Order {
	p := f.describe()
	return executor.Order{Code: p.Code, Compiled: p.Compiled, Assignment: executor.Assignment{
		Runtime: p.Runtime, Functions: p.Functions, MemoryBytes: p.MemoryBytes, TimeLimit: p.TimeLimit, Directories: p.Directories,
		Folder: p.Folder, Path: p.Path, Env: p.Env, Arguments: p.Arguments, Warm: p.Warm,
	}}
}

// ownCache has this process, and those that it starts, keep compiled code in a
// folder of its own: measurements leave nothing in the user's, and find nothing
// there. remove is to be called at the end.
func ownCache() (remove func(), err error) {
	const variable = "XDG_CACHE_HOME" // see os.UserCacheDir
	dir, err := os.MkdirTemp("", "rfaas-bench-")
	if err != nil {
		return nil, err
	}
	former, had := os.LookupEnv(variable)
	if err := os.Setenv(variable, dir); err != nil {
		return nil, err
	}
	return func() {
		if had {
			os.Setenv(variable, former)
		} else {
			os.Unsetenv(variable)
		}
		os.RemoveAll(dir)
	}, nil
}
