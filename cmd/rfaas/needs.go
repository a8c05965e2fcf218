package main

import (
	"fmt"
	"os"
	"os/exec"
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
	if c.runtime == runtime.Wasm || c.path == "" {
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

// checkInterpreter says whether the interpreter of a script is one that the script does not
// see when it is isolated, or sees another one of that name: of a virtual environment, say.
func (c *code) checkInterpreter() error {
	if c.runtime != runtime.Command {
		return nil
	}
	declared, err := c.archive.Code()
	if err != nil || len(declared.Needed) == 0 || !filepath.IsAbs(declared.Needed[0]) { // an executable: see checkLibraries
		return nil
	}
	interpreter := declared.Needed[0]
	if folders := c.unseen(interpreter); exists(interpreter) && len(folders) > 0 {
		return usageError("the interpreter of %s, %s, is where isolated functions do not see it; let it read the installation with --read %s", c.limits.Module, interpreter, strings.Join(folders, " --read "))
	}
	if len(declared.Needed) == 1 || slices.ContainsFunc(c.env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		return nil
	}
	name := declared.Needed[1]
	if here, err := exec.LookPath(name); err == nil && !ofSystem(here) {
		c.note = fmt.Sprintf("%s is %s in your PATH; isolated functions have the system's; for yours, add --env PATH", name, here)
		for _, folder := range c.unseen(here) {
			c.note += " --read " + folder
		}
	}
	return nil
}

// unseen are the folders that the code would have to see for a program: of it, and of what
// it is a link to, as in virtual environments.
func (c *code) unseen(program string) []string {
	at, err := filepath.EvalSymlinks(program)
	if err != nil {
		at = program
	}
	var folders []string
	for _, path := range []string{program, at} {
		seen := func(d executor.Directory) bool { return isIn(path, d.Guest) }
		if folder := installation(path); !ofSystem(path) && !slices.ContainsFunc(c.directories, seen) && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// installation is the folder that a program was installed in, with what belongs to it.
func installation(path string) string {
	dir := filepath.Dir(path)
	if filepath.Base(dir) == "bin" {
		return filepath.Dir(dir)
	}
	return dir
}

// ofSystem reports whether isolated programs see a program by its name.
func ofSystem(path string) bool {
	return slices.ContainsFunc([]string{"/bin", "/sbin", "/usr", "/nix/store", "/gnu/store"}, func(folder string) bool { return isIn(path, folder) })
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
