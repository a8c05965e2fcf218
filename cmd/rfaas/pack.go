package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
	"github.com/rfaas-go/rfaas/invoke/pack"
)

// packFlags are the flags of pack.
type packFlags struct {
	output        string
	name, version string
	functions     []string
	slotBytes     byteSize
	memory        byteSize
	stack         byteSize
	timeLimit     time.Duration
	directories   []string
	libraries     bool
	arguments     []string
	warm          bool
}

func (p *program) packCommand() *cobra.Command {
	f := &packFlags{}
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "pack [-o FILE] PATH",
		Short:                 "Make a function package",
		Long: `pack makes a function package, one file, of what is at PATH, and prints its
digest. PATH is one of these:

  a shared object (.so) with functions of rFaaS's signature, or a WebAssembly
  module (.wasm) that follows the convention of rfaas;

  a program: an executable, or a script whose first line names its interpreter
  (#!), by any name; it reads its input from the standard input, or from the
  file whose name takes the place of {} in an --argument, and writes its result
  to the standard output;

  a folder with such code and all that it needs; its manifest.json says what the
  package is, and can be missing if there is one .so or one .wasm;

  a manifest, NAME.json, with the file that it names as "module".

What neither the manifest nor a flag says has a default: all entry points of the
code are functions. For shared objects these are all functions that they export,
because nothing tells their signatures, but for mangled names of C++ and Rust:
choose with --function if there are others among them. A program is one
function, of the package's name. 'rfaas inspect' shows what came of it.

The same content makes the same bytes, and so the same digest, anywhere.`,
		Example: `  rfaas pack hello.so

  Choose functions and say what callers may repeat:
    rfaas pack -o hello.rfaas --function greet=hello_impl,idempotent hello.so

  Limits, and a directory of the node that the module sees as /models:
    rfaas pack --memory 1GiB --time-limit 5s --wasi-directory models infer.wasm

  A program that reads a file:
    rfaas pack --argument --input={} --argument -v simulate

  One that is started once and serves calls, with what it imports (examples/python):
    mkdir words && cp words.py rfaas.py words
    echo '{"module": "words.py", "warm": true}' > words/manifest.json
    rfaas pack words`,
		Args: needArgs(1, 1, "of what? one PATH: a shared object, a WebAssembly module, a program, a folder or a manifest (*.json)"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.output, "output", "o", "", "`FILE` to make; - for the standard output (default: NAME.rfaas here)")
	flags.StringVar(&f.name, "name", "", "`NAME` of the package (default: that of PATH)")
	flags.StringVar(&f.version, "version", "", "`VERSION` of the package (default 0.0.0)")
	flags.StringArrayVar(&f.functions, "function", nil, "offer a function: `NAME[=ENTRY][,idempotent]`; repeat it for more (default: all)")
	flags.Var(&f.slotBytes, "slot-bytes", "longest input and result to expect: a `SIZE` (default 64KiB)")
	flags.Var(&f.memory, "memory", "memory limit: a `SIZE` (default 256MiB)")
	flags.Var(&f.stack, "stack", "stack of a call of native code: a `SIZE` (default 8MiB)")
	flags.DurationVar(&f.timeLimit, "time-limit", 0, "longest `TIME` of a call (default 1m)")
	flags.StringArrayVar(&f.directories, "wasi-directory", nil, "ask the node for a directory: `NAME[,writable]`; repeat it for more")
	flags.BoolVar(&f.libraries, "with-libraries", false, "take the libraries along that the code needs, but for the system's")
	flags.StringArrayVar(&f.arguments, "argument", nil, "`ARGUMENT` of a program, {} for the file with the input; repeat it for more")
	flags.BoolVar(&f.warm, "warm", false, "start a program once: it serves calls (see examples/python)")
	neverZero(flags, "slot-bytes", "memory", "stack", "time-limit")
	return cmd
}

func (f *packFlags) run(cmd *cobra.Command, path string) error {
	chosen := false
	build := pack.Build
	if f.libraries {
		build = pack.BuildWithLibraries
	}
	p, err := build(path, func(m *pack.Manifest) error {
		err := f.edit(cmd, m)
		chosen = m.Functions != nil
		return err
	})
	if f.edits(cmd) { // it is what is wrong with the manifest
		err = asUsage[*pack.ManifestError](err)
	}
	if err != nil {
		return err
	}
	defer p.Close()
	if !chosen {
		code, err := p.Code()
		if err != nil {
			return err
		}
		if n := code.Mangled(); n > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: left out: %d mangled names of C++ or Rust; --function offers what is chosen\n", cmd.CommandPath(), n)
		}
	}
	if f.output == "" {
		f.output = p.Manifest().Name + pack.Extension
	}
	if f.output == "-" {
		if isTerminal(cmd.OutOrStdout()) {
			return usageError("-o -: a package is nothing for a terminal: name a file, or pipe it somewhere")
		}
		_, err := p.WriteTo(cmd.OutOrStdout())
		return err
	}
	if err := writePackage(f.output, p); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %v\n", f.output, p.Digest())
	return err
}

// writePackage makes the file of a package, whole or not at all.
func writePackage(path string, p *pack.Package) error {
	out, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	if _, err := p.WriteTo(out); err != nil {
		out.Discard()
		return err
	}
	return out.Commit()
}

// edits reports whether a value that a manifest may refuse was given.
func (f *packFlags) edits(cmd *cobra.Command) bool {
	return slices.ContainsFunc([]string{"name", "version", "slot-bytes", "memory", "stack", "time-limit", "function"}, cmd.Flags().Changed)
}

// edit changes a manifest as the flags say.
func (f *packFlags) edit(cmd *cobra.Command, m *pack.Manifest) error {
	given := cmd.Flags().Changed
	if given("name") {
		m.Name = f.name
	}
	if given("version") {
		m.Version = f.version
	}
	if given("slot-bytes") {
		m.SlotBytes = int(min(f.slotBytes, 1<<31-1)) // more than is possible, in any case
	}
	if given("memory") {
		m.MemoryBytes = int64(f.memory)
	}
	if given("stack") {
		m.StackBytes = int64(f.stack)
	}
	if given("time-limit") {
		m.TimeLimit.Duration = f.timeLimit
	}
	for name, empty := range map[string]bool{
		"name": f.name == "", "version": f.version == "",
	} {
		if given(name) && empty {
			return usageError("--%s: needs a value; leave it out for the default", name)
		}
	}
	if given("function") {
		m.Functions = nil
	}
	for _, text := range f.functions {
		spec, idempotent, err := cutOption("function", text, "idempotent")
		if err != nil {
			return err
		}
		name, entry, _ := strings.Cut(spec, "=")
		m.Functions = append(m.Functions, pack.Function{Name: name, Entry: entry, Idempotent: idempotent})
	}
	if given("argument") {
		m.Arguments = f.arguments
	}
	if given("warm") {
		m.Warm = f.warm
	}
	if given("wasi-directory") {
		m.WASI.Directories = nil
	}
	for _, text := range f.directories {
		name, writable, err := cutOption("wasi-directory", text, "writable")
		if err != nil {
			return err
		}
		m.WASI.Directories = append(m.WASI.Directories, pack.Directory{Name: name, Writable: writable})
	}
	return nil
}

// cutOption takes a flag's value apart: "spec" or "spec,option".
func cutOption(flag, text, option string) (spec string, set bool, err error) {
	spec, rest, set := strings.Cut(text, ",")
	if set && rest != option {
		return "", false, usageError("--%s %q: after the comma there can be %q only", flag, text, option)
	}
	if spec == "" || strings.HasSuffix(spec, "=") {
		return "", false, usageError("--%s %q: a name is missing", flag, text)
	}
	return spec, set, nil
}
