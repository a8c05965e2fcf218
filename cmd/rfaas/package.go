package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/local"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// code is what a function is loaded from, if it does not come with the program.
type code struct {
	runtime string
	entry   string
	file    *os.File // sealed
	limits  pack.Manifest
	bare    bool // not from a package

	archive *pack.Package // open
	release func() error  // closes it

	directories []executor.Directory // what it is given
	env         []string             // likewise
	folder      string               // of the package, if it has more than the code
	path        string               // of the code, if it can be loaded by its name
	compiled    *os.File             // sealed; nil if there is none
	note        string               // what its user may not expect
}

func (c *code) close() {
	if c.release != nil {
		c.release()
	}
	if c.file != nil {
		c.file.Close()
	}
	if c.compiled != nil {
		c.compiled.Close()
	}
}

// packageExtensions are the names by which files are taken for packages, or code
// to make one of, whether or not they exist.
var packageExtensions = []string{".rfaas", ".so", ".wasm"}

// digestPrefix is what the digest of a package begins with.
const digestPrefix = "sha256:"

// openFunction finds what -f names: a function that comes with the program, or
// FILE, FILE:NAME, DIGEST or DIGEST:NAME, a function of a package. close is to be
// called when it is not needed any more.
func openFunction(name string, flags *codeFlags) (f *function, close func(), err error) {
	f, close, err = lookUpFunction(name, &flags.manifest)
	if err != nil {
		return nil, nil, err
	}
	if f.code == nil || !f.code.bare {
		err = flags.manifest.refuse(name, f.code != nil)
	} else if flags.trust && flags.manifest.time == 0 {
		f.code.limits.TimeLimit.Duration = 0 // none
	}
	if err == nil {
		err = flags.give(f)
	}
	if err != nil {
		close()
		return nil, nil, err
	}
	return f, close, nil
}

func lookUpFunction(name string, said *manifestFlags) (f *function, close func(), err error) {
	f, err = findFunction(name)
	if err == nil {
		return f, func() {}, nil
	}
	if digest, ok := strings.CutPrefix(name, digestPrefix); ok {
		digest, wanted, _ := strings.Cut(digest, ":")
		return opened(cachedFunction(digestPrefix+digest, wanted))
	}
	path, wanted := name, ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 && !exists(name) {
		path, wanted = name[:i], name[i+1:]
	}
	if !exists(path) && !slices.Contains(packageExtensions, filepath.Ext(path)) {
		return nil, nil, err // says which there are
	}
	return opened(packagedFunction(path, wanted, said))
}

// opened is what openFunction returns for a function of a package.
func opened(f *function, err error) (*function, func(), error) {
	if err != nil {
		return nil, nil, err
	}
	return f, f.code.close, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return path != "" && !errors.Is(err, fs.ErrNotExist)
}

// packagedFunction takes a function of a file.
func packagedFunction(path, wanted string, said *manifestFlags) (*function, error) {
	bare := false
	p, err := pack.OpenFunction(path, wanted, func(m *pack.Manifest) error {
		bare = true
		return said.edit(m)
	})
	if said.limits() { // they are what is wrong with the manifest
		err = asUsage[*pack.ManifestError](err)
	}
	if err != nil {
		return nil, err
	}
	f, err := functionOf(p, path, wanted)
	if err != nil {
		p.Close()
		return nil, err
	}
	f.code.bare = bare
	f.code.release = p.Close
	if len(p.Files()) > 1 || f.code.runtime == runtime.Command && !bare { // which have to be files
		err = f.code.unpack(p)
	} else if bare {
		f.code.path, err = filepath.Abs(path)
	}
	if err != nil {
		f.code.close()
		return nil, err
	}
	return f, nil
}

// unpack puts the files of a package into the cache, which keeps them as long as they are
// used: what they are cannot change meanwhile.
func (c *code) unpack(p *pack.Package) error {
	cache, err := openPackageCache(nil)
	if err != nil {
		return err
	}
	installed, err := cache.PutPackage(p)
	if err != nil {
		return err
	}
	c.in(installed)
	c.release = func() error { return errors.Join(installed.Close(), p.Close()) }
	return nil
}

// in makes the code that of a package in the cache.
func (c *code) in(installed *pack.Installed) {
	if len(installed.Files()) > 1 || c.runtime == runtime.Command {
		c.folder, c.path = installed.Dir(), installed.ModulePath()
	}
}

// cachedFunction takes a function of a package in the cache, which is in use until
// its code was copied.
func cachedFunction(digest, wanted string) (*function, error) {
	d, err := pack.ParseDigest(digest)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	cache, err := openPackageCache(nil) // it says nothing that its errors do not
	if err != nil {
		return nil, err
	}
	p, err := cache.Get(d)
	if errors.Is(err, pack.ErrNotCached) {
		return nil, fmt.Errorf("%w; 'rfaas cache add FILE' puts it there, 'rfaas cache list' shows what is", err)
	} else if err != nil {
		return nil, err
	}
	f, err := functionOf(p.Package, digest, wanted)
	if err != nil {
		p.Close()
		return nil, err
	}
	f.code.in(p)
	f.code.release = p.Close
	return f, nil
}

// functionOf takes a function of a package, by its name or because it is the only
// one. path is what the user calls the package.
func functionOf(p *pack.Package, path, wanted string) (*function, error) {
	m := p.Manifest()
	chosen, err := choose(path, m.Functions, wanted)
	if err != nil {
		return nil, err
	}
	module, err := p.OpenModule()
	if err != nil {
		return nil, err
	}
	defer module.Close()
	file, err := executor.SealedCode(m.Module, module)
	if err != nil {
		return nil, err
	}
	return &function{
		name: chosen.Name, idempotent: chosen.Idempotent,
		code: &code{runtime: m.Runtime, entry: chosen.Entry, file: file, limits: m, archive: p},
	}, nil
}

func choose(path string, functions []pack.Function, wanted string) (pack.Function, error) {
	names := make([]string, len(functions))
	for i, f := range functions {
		if f.Name == wanted || wanted == "" && len(functions) == 1 {
			return f, nil
		}
		names[i] = f.Name
	}
	if wanted == "" {
		return pack.Function{}, fmt.Errorf("%s has %d functions: choose one with %s:NAME; there are: %s", path, len(functions), path, strings.Join(names, ", "))
	}
	return pack.Function{}, fmt.Errorf("%s has no function %q; there are: %s", path, wanted, strings.Join(names, ", "))
}

// program is what workers of the function run. Its files are the taker's.
func (f *function) program(trust bool) *agent.Program {
	p := f.describe()
	p.Trusted = trust || f.code == nil
	if c := f.code; c != nil {
		c.file, c.compiled = nil, nil
	}
	return p
}

// describe is the program of the function, whose files are the function's.
func (f *function) describe() *agent.Program {
	own := executor.Function{Name: f.name, Entry: f.name, Idempotent: f.idempotent}
	p := &agent.Program{Runtime: runtime.Go}
	if c := f.code; c != nil {
		own.Entry, p.Code, p.Compiled = c.entry, c.file, c.compiled
		p.Arguments, p.Warm = c.limits.Arguments, c.limits.Warm
		p.Directories, p.Folder, p.Path, p.Env = c.directories, c.folder, c.path, c.env
		p.Runtime, p.MemoryBytes, p.TimeLimit, p.StackBytes = c.runtime, c.limits.MemoryBytes, c.limits.TimeLimit.Duration, c.limits.StackBytes
	}
	p.Functions = []executor.Function{own}
	return p
}

// startNode starts an agent in this process that has the function, and its client.
func (p *program) startNode(ctx context.Context, f *function, trust bool, device *transport.Device, url string, cores []int) (*leaser, error) {
	if f.code != nil && f.code.note != "" {
		p.logging.log.Warn(f.code.note)
	}
	n, err := local.Start(ctx, local.Config{
		Program: f.program(trust), Transport: url, Device: device, Cores: cores,
		Confine: f.confinement(trust), Compile: compileProgram, Output: p.logging.outputTo(p.meter), Logger: p.logging.toldLater(),
	})
	if err != nil && f.code != nil && !trust && !errors.As(err, new(*executor.OrderError)) && !errors.Is(err, confine.ErrNotConfined) {
		err = notIsolated(err) // the others say it themselves, or have another reason
	}
	if err != nil {
		return nil, err
	}
	return &leaser{lease: n.Lease, process: n.Process, close: func() {
		if err := n.Close(); err != nil {
			p.logging.log.Warn("the node in this process cannot be ended", "reason", err)
		}
	}}, nil
}
