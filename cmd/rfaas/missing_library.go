package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// loaderPath is the variable with the folders in which the dynamic loader looks for
// libraries.
const loaderPath = "LD_LIBRARY_PATH"

// checkLibraries says which libraries native code would find here, and does not when it is
// isolated. About those that it would not find here either, the loader says enough.
func (c *code) checkLibraries() error {
	if c.runtime != runtime.Native || c.path == "" {
		return nil
	}
	given := c.searchPath()
	libraries, err := pack.Libraries(c.path, given)
	if err != nil {
		return nil // the runtime says what is wrong with the code
	}
	for _, l := range libraries {
		if l.Path != "" && !c.sees(l.Path) {
			dir := filepath.Dir(l.Path)
			return usageError("%s needs %s, which is in %s: isolated functions do not see that folder; let it read the folder with --read %s, or put the library into a package with 'rfaas pack --with-libraries'", filepath.Base(c.path), l.Name, dir, dir)
		}
	}
	own := os.Getenv(loaderPath)
	if own == "" || given == own {
		return nil
	}
	elsewhere, _ := pack.Libraries(c.path, own)
	for _, l := range libraries {
		i := slices.IndexFunc(elsewhere, func(e pack.Library) bool { return e.Name == l.Name && e.Path != "" })
		if l.Path == "" && i >= 0 {
			return usageError("%s needs %s, which your %s finds in %s: isolated functions do not get your environment; add --env %[3]s --read %[4]s", filepath.Base(c.path), l.Name, loaderPath, filepath.Dir(elsewhere[i].Path))
		}
	}
	return nil
}

// searchPath is where the loader looks by the code's environment, by this machine's names.
func (c *code) searchPath() string {
	var path []string
	for _, v := range c.env {
		if value, ok := strings.CutPrefix(v, loaderPath+"="); ok {
			path = filepath.SplitList(value)
		}
	}
	for i, folder := range path {
		for _, d := range c.directories {
			if rel, err := filepath.Rel(d.Guest, folder); err == nil && filepath.IsLocal(rel) {
				path[i] = filepath.Join(d.Host, rel)
			}
		}
	}
	if c.folder != "" {
		path = append(path, c.folder, filepath.Join(c.folder, "lib"))
	}
	return strings.Join(path, string(filepath.ListSeparator))
}

// sees reports whether the code, isolated, finds a file of this machine: by its name, or by
// its search path.
func (c *code) sees(path string) bool {
	at, err := filepath.EvalSymlinks(path)
	if err != nil {
		at = path
	}
	searched := slices.Contains(filepath.SplitList(c.searchPath()), filepath.Dir(path))
	in := func(d executor.Directory) bool { return isIn(at, d.Host) && (isIn(path, d.Guest) || searched) }
	return c.folder != "" && isIn(path, c.folder) || slices.ContainsFunc(c.directories, in)
}
