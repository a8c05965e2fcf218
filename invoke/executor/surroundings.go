package executor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// checkPlaces says what is wrong with the paths of an assignment.
func (a *Assignment) checkPlaces() error {
	for _, d := range a.Directories {
		if !filepath.IsAbs(d.Host) {
			return &OrderError{fmt.Sprintf("the directory %q: give an absolute path", d.Host)}
		}
	}
	for _, path := range []string{a.Folder, a.Path} {
		if path != "" && !filepath.IsAbs(path) {
			return &OrderError{fmt.Sprintf("the code's path %q: give an absolute one", path)}
		}
	}
	for _, v := range a.Env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" || strings.ContainsRune(v, 0) {
			return &OrderError{fmt.Sprintf("the variable %q: give it as NAME=value", v)}
		}
	}
	return nil
}

// threadVariables are what libraries take the number of their threads from: OpenMP with
// OpenBLAS and MKL, OpenBLAS without OpenMP, Rust's rayon, numexpr, Julia.
var threadVariables = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "NUMEXPR_NUM_THREADS", "JULIA_NUM_THREADS"}

// environment is what is added to the environment of the code. What is for the loader is
// there from the start.
func (a *Assignment) environment() []string {
	var env []string
	if a.Threads > 0 {
		for _, name := range threadVariables {
			env = append(env, name+"="+strconv.Itoa(a.Threads))
		}
	}
	return append(env, a.Env...)
}

// loaderEnv are the variables for the dynamic loader, which reads them only when a program
// starts.
func (a *Assignment) loaderEnv() []string {
	return slices.DeleteFunc(slices.Clone(a.Env), func(v string) bool { return !confine.ForLoader(v) })
}

// unconfinedEnv are the variables for the dynamic loader of an executor that is not confined.
// It finds the libraries of the folder, as one that is does by its policy.
func (a *Assignment) unconfinedEnv() []string {
	env := a.loaderEnv()
	if a.Folder == "" {
		return env
	}
	const name = "LD_LIBRARY_PATH="
	value := ""
	for _, v := range slices.Concat(os.Environ(), env) { // the last one counts
		if text, ok := strings.CutPrefix(v, name); ok && text != "" {
			value = text + ":"
		}
	}
	return append(env, name+value+a.Folder+":"+filepath.Join(a.Folder, "lib"))
}

// place sets the surroundings of the code: its environment, its working directory, and the
// paths in c, by the names that this process has for them.
func (x *execution) place(c *Code, a *Assignment) error {
	for _, v := range a.environment() {
		name, value, _ := strings.Cut(v, "=")
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("the environment: %s: %w", name, err)
		}
	}
	here := func(host string) string {
		if x.policy == nil {
			return host
		}
		return confine.Where(host)
	}
	for _, d := range a.Directories {
		at := here(d.Host)
		if f, err := os.Open(at); err == nil {
			f.Close()
		} else {
			return fmt.Errorf("the directory %s: open %s: %w (for user %d; an isolated function has the rights there that others have)", d.Guest, d.Host, errors.Unwrap(err), os.Getuid())
		}
		d.Host = at
		c.Directories = append(c.Directories, d)
	}
	if a.Folder != "" {
		c.Folder = here(a.Folder)
		if err := os.Chdir(c.Folder); err != nil {
			return fmt.Errorf("the folder of the code: %w", err)
		}
	}
	if a.Path == "" {
		return nil
	}
	tops := []string{a.Folder}
	for _, d := range a.Directories {
		tops = append(tops, d.Host)
	}
	for _, top := range tops {
		if rel, err := filepath.Rel(top, a.Path); top != "" && err == nil && filepath.IsLocal(rel) {
			c.Path = filepath.Join(here(top), rel)
			return nil
		}
	}
	if x.policy != nil {
		return fmt.Errorf("the code %s is in none of the folders that it is given", a.Path)
	}
	c.Path = a.Path
	return nil
}
