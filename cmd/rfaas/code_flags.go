package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// codeFlags say what code of users may do. Commands that call functions have them.
type codeFlags struct {
	trust       bool
	read        []string
	directories []string
	env         []string
	threads     int
	manifest    manifestFlags
}

func (f *codeFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.read, "read", nil, "let the function read `DIR`, a folder or file, such as one with its libraries; repeat it for more")
	flags.StringArrayVar(&f.directories, "directory", nil, "give the function `HOST[:GUEST][:rw]`: a folder of this machine, by the name GUEST, to read or (rw) to write, too; repeat it for more")
	flags.StringArrayVar(&f.env, "env", nil, "set a variable in the function's environment: `NAME=VALUE`, or NAME for its value here; repeat it for more")
	flags.IntVar(&f.threads, "threads", 1, "give each worker `N` cores; OpenMP, OpenBLAS and others use as many threads")
	f.addTrust(flags)
}

func (f *codeFlags) addTrust(flags *pflag.FlagSet) {
	f.threads = 1 // unless add's flag says otherwise
	flags.BoolVar(&f.trust, "trust-code", false, "run FILEs without isolation, with your rights and files")
}

// given is the first of the flags that give something, empty if there is none.
func (f *codeFlags) given() string {
	for flag, values := range map[string][]string{"--read": f.read, "--directory": f.directories, "--env": f.env} {
		if len(values) > 0 {
			return flag
		}
	}
	return ""
}

// give gives a function what the flags say.
func (f *codeFlags) give(function *function) error {
	if f.threads < 1 || f.threads > maxWorkers {
		return usageError("--threads %d: must be 1 to %d", f.threads, maxWorkers)
	}
	c := function.code
	if c == nil {
		if flag := f.given(); flag != "" {
			return usageError("%s: %s comes with the program, and needs nothing", flag, function.name)
		}
		return nil
	}
	var err error
	if c.directories, err = f.places(); err != nil {
		return err
	}
	if c.env, err = f.environment(); err != nil {
		return err
	}
	if c.runtime == runtime.Wasm && !c.bare {
		return c.mount()
	}
	for _, d := range c.directories {
		if c.runtime != runtime.Wasm && f.trust && d.Guest != d.Host {
			if at, err := filepath.EvalSymlinks(d.Guest); err != nil || at != d.Host {
				return usageError("--directory %s:%s: a function that is not isolated sees this machine's names only; leave %[2]s out, or --trust-code", d.Host, d.Guest)
			}
		}
	}
	if !f.trust {
		if err := c.checkLibraries(); err != nil {
			return err
		}
		if err := c.checkInterpreter(); err != nil {
			return err
		}
	}
	if c.bare && !f.trust && !slices.ContainsFunc(c.directories, func(d executor.Directory) bool { return isIn(c.path, d.Guest) }) {
		if c.runtime == runtime.Command {
			return c.unpack(c.archive)
		}
		c.path = "" // it does not see its own file, and is loaded from a copy
	}
	return nil
}

// isIn reports whether a path is a folder or in it.
func isIn(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}

// places are the directories that the flags give.
func (f *codeFlags) places() ([]executor.Directory, error) {
	var places []executor.Directory
	add := func(flag, text, host, guest string, writable bool) error {
		named, err := filepath.Abs(host)
		at := named
		if err == nil {
			at, err = filepath.EvalSymlinks(named) // what is given is what it is now
		}
		switch {
		case host == "":
			return usageError("%s %q: the name of the folder is missing", flag, text)
		case err != nil:
			return fmt.Errorf("%s %q: %w", flag, text, err)
		}
		if guest == "" {
			guest = named
		}
		if !filepath.IsAbs(guest) {
			return usageError("%s %q: the name for the function, %s, must be absolute, such as /data", flag, text, guest)
		}
		guest = filepath.Clean(guest)
		if slices.ContainsFunc(places, func(d executor.Directory) bool { return d.Guest == guest }) {
			return usageError("%s %q: %s is given twice", flag, text, guest)
		}
		places = append(places, executor.Directory{Guest: guest, Host: at, Writable: writable})
		return nil
	}
	for _, text := range f.read {
		if err := add("--read", text, text, "", false); err != nil {
			return nil, err
		}
	}
	for _, text := range f.directories {
		spec, writable := strings.CutSuffix(text, ":rw")
		host, guest, _ := strings.Cut(spec, ":")
		if strings.Contains(guest, ":") {
			return nil, usageError("--directory %q: say it as HOST, HOST:GUEST or HOST:GUEST:rw", text)
		}
		if err := add("--directory", text, host, guest, writable); err != nil {
			return nil, err
		}
	}
	return places, nil
}

// environment are the variables that the flags give.
func (f *codeFlags) environment() ([]string, error) {
	var env []string
	for _, text := range f.env {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			if value, ok = os.LookupEnv(name); !ok {
				return nil, usageError("--env %q: it is not set here: give it a value, as NAME=VALUE", text)
			}
		}
		if name == "" {
			return nil, usageError("--env %q: the name is missing", text)
		}
		env = append(env, name+"="+value)
	}
	return env, nil
}

// mount checks what is given against what a package of WebAssembly asks for.
func (c *code) mount() error {
	grants := map[string]pack.Grant{}
	for _, d := range c.directories {
		name := strings.TrimPrefix(d.Guest, "/")
		if !slices.ContainsFunc(c.limits.WASI.Directories, func(w pack.Directory) bool { return w.Name == name }) {
			return usageError("--directory %s:%s: the package does not ask for a directory %q; 'rfaas inspect' shows those that it does", d.Host, d.Guest, name)
		}
		grants[name] = pack.Grant{Path: d.Host, Writable: d.Writable}
	}
	mounts, err := c.limits.WASI.Mounts(grants)
	if err != nil {
		return usageError("%w; --directory HOST:/NAME gives one", err)
	}
	c.directories = nil
	for _, m := range mounts {
		c.directories = append(c.directories, executor.Directory{Guest: m.Guest, Host: m.Path, Writable: m.Writable})
	}
	return nil
}

// notElsewhere is an error about flags that mean nothing where others' nodes run the code.
func (f *codeFlags) notElsewhere() error {
	if f.trust {
		return usageError("--trust-code: it is for the nodes of a cluster to say whom they trust; leave it out, or --manager")
	}
	if flag := f.given(); flag != "" {
		return usageError("%s: what functions have besides their package is the nodes' to give; leave it out, or --manager", flag)
	}
	return nil
}

// withoutIsolation is what errors of what isolates end with.
const withoutIsolation = "--trust-code runs the function without isolation"

// notIsolated explains an error of starting what isolates.
func notIsolated(err error) error { return fmt.Errorf("%w; %s", err, withoutIsolation) }
