package command

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Config says what to run.
type Config struct {
	// Name is the module's one entry point, and its name in messages; the file name of
	// Program if it is empty.
	Name string
	// Program is the path of the executable or script.
	Program string
	// Arguments follow the program's name. In each of them, "{}" is replaced by the name
	// of a file with the input; the standard input is empty then. Without a "{}" it is
	// the input. Warm programs get no files.
	Arguments []string
	// Environment is all that the program gets of it, "NAME=value" each.
	Environment []string
	// Directory is the program's working directory; that of this process if it is empty.
	Directory string
	// TempDirectory is a folder for the files with inputs; needed if there is a "{}".
	// A file is removed when its call ends; if this process is killed, it stays.
	TempDirectory string
	// Warm starts the program once, to serve calls.
	Warm bool
	// Stderr gets what the program writes to its standard error: whole lines, one per
	// Write, which is called during calls and Close only, never concurrently. A line longer than
	// 4 KiB is broken. While Write blocks, the call waits. If nil, output is discarded.
	Stderr io.Writer
}

const placeholder = "{}" // in arguments, for the name of a file with the input

func hasPlaceholder(argument string) bool { return strings.Contains(argument, placeholder) }

// inFile reports whether the program gets its input in a file.
func (c *Config) inFile() bool { return slices.ContainsFunc(c.Arguments, hasPlaceholder) }

// complete makes paths absolute, and checks everything that can be checked in advance.
func (c Config) complete() (Config, error) {
	if c.Program == "" {
		return c, fmt.Errorf("command: no program: give the path of an executable or a script")
	}
	for _, path := range []*string{&c.Program, &c.Directory, &c.TempDirectory} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return c, fmt.Errorf("command: %w", err)
		}
		*path = absolute
	}
	if c.Name == "" {
		c.Name = filepath.Base(c.Program)
	}
	info, err := os.Stat(c.Program)
	switch {
	case err != nil:
		return c, fmt.Errorf("command: %w", err)
	case !info.Mode().IsRegular():
		return c, fmt.Errorf("command: %s is not a file (%v)", c.Program, info.Mode().Type())
	case unix.Access(c.Program, unix.X_OK) != nil:
		return c, fmt.Errorf("command: %s is not executable: make it so with chmod +x", c.Program)
	}
	for _, variable := range c.Environment {
		if name, _, ok := strings.Cut(variable, "="); !ok || name == "" {
			return c, fmt.Errorf("command: %s: environment: %q: must be NAME=value", c.Name, variable)
		}
	}
	if err := checkDirectory(c.Directory); err != nil {
		return c, fmt.Errorf("command: %s: directory: %w", c.Name, err)
	}
	if err := checkDirectory(c.TempDirectory); err != nil {
		return c, fmt.Errorf("command: %s: directory for inputs: %w", c.Name, err)
	}
	switch inFile := c.inFile(); {
	case inFile && c.Warm:
		return c, fmt.Errorf("command: %s: arguments: %q is for programs that are started for each call, and this one is warm: it reads its calls", c.Name, placeholder)
	case inFile && c.TempDirectory == "":
		return c, fmt.Errorf("command: %s: arguments: %q needs a directory for files with inputs: give one", c.Name, placeholder)
	}
	return c, nil
}

func checkDirectory(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", path)
	}
	return err
}
