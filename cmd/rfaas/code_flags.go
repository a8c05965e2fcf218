package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/pack"
)

// codeFlags say what code of users may do. Commands that call functions have them.
type codeFlags struct {
	trust       bool
	directories []string
	limits      limitFlags
}

func (f *codeFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.directories, "wasi-directory", nil, "give a WebAssembly module a directory: `NAME=DIR[,writable]`, which it sees as /NAME; repeat it for more")
	f.addTrust(flags)
}

func (f *codeFlags) addTrust(flags *pflag.FlagSet) {
	flags.BoolVar(&f.trust, "trust-code", false, "run FILEs without isolation, with your rights and files")
}

// grants are the directories that are given, by the names that packages ask for them.
func (f *codeFlags) grants() (map[string]pack.Grant, error) {
	grants := map[string]pack.Grant{}
	for _, text := range f.directories {
		spec, writable, err := cutOption("wasi-directory", text, "writable")
		if err != nil {
			return nil, err
		}
		name, dir, ok := strings.Cut(spec, "=")
		if !ok || name == "" {
			return nil, usageError("--wasi-directory %q: say which directory, as NAME=DIR", text)
		}
		if _, twice := grants[name]; twice {
			return nil, usageError("--wasi-directory %q: %s is given twice", text, name)
		}
		if dir, err = filepath.Abs(dir); err == nil {
			dir, err = filepath.EvalSymlinks(dir) // what is given is what it is now
		}
		if err != nil {
			return nil, usageError("--wasi-directory %q: %w", text, err)
		}
		grants[name] = pack.Grant{Path: dir, Writable: writable}
	}
	return grants, nil
}

// mount gives a function's code the directories that its package asks for. Bare code
// has no package to ask: it gets all.
func (f *codeFlags) mount(c *code) error {
	grants, err := f.grants()
	if err != nil {
		return err
	}
	wanted := c.limits.WASI
	if c.bare {
		for _, name := range slices.Sorted(maps.Keys(grants)) {
			wanted.Directories = append(wanted.Directories, pack.Directory{Name: name, Writable: grants[name].Writable})
		}
	}
	mounts, err := wanted.Mounts(grants)
	if err != nil {
		return usageError("%w; --wasi-directory NAME=DIR gives one", err)
	}
	for _, m := range mounts {
		c.directories = append(c.directories, executor.Directory{Guest: m.Guest, Host: m.Path, Writable: m.Writable})
		delete(grants, strings.TrimPrefix(m.Guest, "/"))
	}
	for _, name := range slices.Sorted(maps.Keys(grants)) {
		return usageError("--wasi-directory %s=%s: the package does not ask for a directory %q; 'rfaas inspect' shows those that it does", name, grants[name].Path, name)
	}
	return nil
}

// notElsewhere is an error about flags that mean nothing where others' nodes run the code.
func (f *codeFlags) notElsewhere() error {
	switch {
	case f.trust:
		return usageError("--trust-code: it is for the nodes of a cluster to say whom they trust; leave it out, or --manager")
	case len(f.directories) > 0:
		return usageError("--wasi-directory: directories are the nodes' to give; leave it out, or --manager")
	}
	return nil
}

// withoutIsolation is what errors of what isolates end with.
const withoutIsolation = "--trust-code runs the function without isolation"

// notIsolated explains an error of starting what isolates.
func notIsolated(err error) error { return fmt.Errorf("%w; %s", err, withoutIsolation) }
