package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/invoke/pack"
)

func (p *program) inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "inspect FILE",
		Short:                 "Show what is in a function package",
		Long: `inspect checks a function package and shows its digest, its manifest, its files,
and what the code says: its entry points and the libraries it needs, or a
script's interpreter. Of a shared object, a WebAssembly module, a program or a
folder it shows the package that would be made of it.`,
		Example: `  rfaas inspect hello.rfaas

  Which functions does it have?
    rfaas inspect --json hello.so | jq -r '.manifest.functions[].name'`,
		Args: needArgs(1, 1, "which FILE? one package, shared object, WebAssembly module, program or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			i, err := inspect(args[0])
			if err != nil {
				return err
			}
			return i.write(cmd.OutOrStdout(), args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "a JSON object instead of text")
	return cmd
}

// inspected is what is known of a package. Its JSON is for scripts.
type inspected struct {
	Digest    pack.Digest   `json:"digest"`
	SizeBytes int64         `json:"size_bytes"` // of the archive
	Manifest  pack.Manifest `json:"manifest"`
	Files     []pack.File   `json:"files"`
	Code      *pack.Code    `json:"code,omitempty"`
	Problem   string        `json:"problem,omitempty"` // why this build could not run it
}

func inspect(path string) (*inspected, error) {
	p, err := pack.Open(path)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	i := &inspected{Digest: p.Digest(), SizeBytes: p.Size(), Manifest: p.Manifest(), Files: p.Files()}
	if i.Code, err = p.Code(); err == nil {
		err = i.Code.Check(i.Manifest)
	}
	if err != nil {
		i.Problem = err.Error()
	}
	return i, nil
}

func (i *inspected) write(w io.Writer, path string, asJSON bool) error {
	if asJSON {
		return writeJSON(w, i)
	}
	m := &i.Manifest
	slot, memory := byteSize(m.SlotBytes), byteSize(m.MemoryBytes)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s\n", path, m.Name, m.Version)
	fmt.Fprintf(&b, "  digest      %v\n", i.Digest)
	fmt.Fprintf(&b, "  size        %d bytes\n", i.SizeBytes)
	fmt.Fprintf(&b, "  runtime     %s\n", m.Runtime)
	fmt.Fprintf(&b, "  module      %s\n", m.Module)
	fmt.Fprintf(&b, "  limits      slot %s, memory %s, time %v", slot.String(), memory.String(), m.TimeLimit)
	if stack := byteSize(m.StackBytes); stack > 0 {
		fmt.Fprintf(&b, ", stack %s", stack.String())
	}
	b.WriteString("\n")
	for _, f := range m.Functions {
		fmt.Fprintf(&b, "  function    %s%s\n", f.Name, functionNotes(f))
	}
	for _, argument := range m.Arguments {
		fmt.Fprintf(&b, "  argument    %s\n", printableName(argument))
	}
	if m.Warm {
		fmt.Fprint(&b, "  warm        started once, serves calls\n")
	}
	for _, d := range m.WASI.Directories {
		access := "read-only"
		if d.Writable {
			access = "writable"
		}
		fmt.Fprintf(&b, "  asks for    directory %s, %s\n", d.Name, access)
	}
	for _, f := range i.Files {
		fmt.Fprintf(&b, "  file        %s, %d bytes\n", f.Name, f.SizeBytes)
	}
	if i.Code != nil {
		fmt.Fprintf(&b, "  code        %s\n", i.Code.Target)
		for _, entry := range i.Code.EntryPoints {
			fmt.Fprintf(&b, "  entry point %s\n", printableName(entry))
		}
		for _, library := range i.Code.Needed {
			fmt.Fprintf(&b, "  needs       %s\n", printableName(library))
		}
	}
	if i.Problem != "" {
		fmt.Fprintf(&b, "  problem     %s\n", i.Problem)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func functionNotes(f pack.Function) string {
	var notes string
	if f.Entry != f.Name {
		notes = ", entry point " + f.Entry
	}
	if f.Idempotent {
		notes += ", idempotent"
	}
	return notes
}

// printableName is a name from code, quoted if a terminal could take it for
// something else.
func printableName(name string) string {
	if quoted := fmt.Sprintf("%q", name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
