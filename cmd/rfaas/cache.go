package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rfaas-go/rfaas/invoke/pack"
)

func (p *program) cacheCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "cache",
		Short: "Keep function packages by their digests",
		Long: `cache keeps function packages of this user, each once, by its digest. Commands
that call functions take DIGEST or DIGEST:NAME in place of FILE or FILE:NAME,
even when the file is gone. A package is verified each time before it is loaded,
and one that is damaged is removed.

The cache is the folder rfaas/packages in $XDG_CACHE_HOME, or else ~/.cache. It
holds up to 8 GiB; the least recently used packages make room. What is called
directly may get there, too: programs, folders, packages of several files.`,
		Example: `  rfaas cache add hello.rfaas
  rfaas run -f sha256:0123...cdef:greet people/*
  rfaas cache list`,
	}, p.cacheAddCommand(), p.cacheListCommand(), p.cacheDeleteCommand())
}

func (p *program) cacheAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add FILE...",
		Short: "Put packages into the cache",
		Long: `add puts packages into the cache, unless they are there, and prints their
digests. A FILE is a package, or what 'rfaas pack' makes one of: a shared
object, a WebAssembly module, a program, a folder or a manifest.`,
		Example: `  rfaas cache add hello.rfaas
  rfaas run -f $(rfaas cache add hello.so | grep -o 'sha256:.*'):greet people/*`,
		Args: needArgs(1, math.MaxInt, "which FILE? packages, shared objects, WebAssembly modules, programs or folders"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cache, err := openPackageCache(p.logging.log)
			if err != nil {
				return err
			}
			for _, path := range args {
				digest, err := addToCache(cache, path)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %v\n", path, digest); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func addToCache(cache *pack.Cache, path string) (pack.Digest, error) {
	opened, err := pack.Open(path)
	if err != nil {
		return pack.Digest{}, err
	}
	defer opened.Close()
	installed, err := cache.PutPackage(opened)
	if err != nil {
		return pack.Digest{}, fmt.Errorf("%s: %w", path, err)
	}
	return installed.Digest(), installed.Close()
}

func (p *program) cacheListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the packages in the cache",
		Long: `list lists the packages in the cache, the least recently used first. It does not
verify them.`,
		Example: `  rfaas cache list
  rfaas cache list --json | jq -r .digest | xargs rfaas cache delete`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := listCached()
			if err != nil {
				return err
			}
			if len(all) == 0 && !asJSON {
				fmt.Fprintf(p.meter, "%s: the cache is empty; add a package with 'rfaas cache add FILE'\n", cmd.CommandPath())
			}
			return writeCached(cmd.OutOrStdout(), all, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line instead of text")
	return cmd
}

func writeCached(w io.Writer, all []cached, asJSON bool) error {
	if asJSON {
		return writeJSON(w, all...)
	}
	var b strings.Builder
	for _, c := range all {
		if m := c.Manifest; m != nil {
			fmt.Fprintf(&b, "%v: %s %s\n", c.Digest, m.Name, m.Version)
			fmt.Fprintf(&b, "  runtime     %s\n", m.Runtime)
			for _, f := range m.Functions {
				fmt.Fprintf(&b, "  function    %s%s\n", f.Name, functionNotes(f))
			}
		} else {
			fmt.Fprintf(&b, "%v\n  problem     %s\n", c.Digest, c.Problem)
		}
		fmt.Fprintf(&b, "  size        %d bytes\n", c.SizeBytes)
		fmt.Fprintf(&b, "  last used   %s\n", c.LastUsed.Format(time.RFC3339))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *program) cacheDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "delete DIGEST...",
		Short:   "Delete packages from the cache",
		Long:    `delete deletes packages from the cache, except those that a program uses.`,
		Example: `  rfaas cache delete sha256:0123...cdef`,
		Args:    needArgs(1, math.MaxInt, "which package? a DIGEST, as 'rfaas cache list' shows it"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return cachedDigests(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			digests := make([]pack.Digest, len(args))
			for i, text := range args {
				var err error
				if digests[i], err = pack.ParseDigest(text); err != nil {
					return &exitError{exitUsage, err}
				}
			}
			cache, err := openPackageCache(p.logging.log)
			if err != nil {
				return err
			}
			var failures []error
			for _, d := range digests { // also after an error
				failures = append(failures, deleteCached(cache, d))
			}
			return errors.Join(failures...)
		},
	}
}

// cachedDigests are the digests of the packages in the cache, as far as they can be
// known.
func cachedDigests() []string {
	var digests []string
	all, _ := listCached()
	for _, c := range all {
		digests = append(digests, c.Digest.String())
	}
	return digests
}
