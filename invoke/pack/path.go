package pack

import (
	"fmt"
	"strings"
)

const (
	manifestFile = "manifest.json"
	maxPathBytes = 100 // of a ustar header without the prefix field
	maxFiles     = 4096
)

// checkPath checks the name of a file in a package. A valid one stays below the folder it is
// joined to, and is the same on every system.
func checkPath(name string) error {
	if name == "" || len(name) > maxPathBytes {
		return fmt.Errorf("file name %s: must be 1 to %d bytes", shown(name), maxPathBytes)
	}
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '\\' {
			return fmt.Errorf("file name %q: must be printable ASCII without \\", name)
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return fmt.Errorf("file name %q: must be relative, with single slashes", name)
		case part[0] == '.':
			return fmt.Errorf("file name %q: no part of it may begin with a dot", name)
		}
	}
	return nil
}

// order checks the names of an archive's files in sequence.
type order struct {
	last  string
	count int
	taken map[string]bool
}

// next checks the name of the next file.
func (o *order) next(name string) error {
	if err := checkPath(name); err != nil {
		return err
	}
	if o.count++; o.count > maxFiles {
		return fmt.Errorf("more than %d files", maxFiles)
	}
	if o.count == 1 {
		o.taken = map[string]bool{name: true}
		if name != manifestFile {
			return fmt.Errorf("the first file is %q: must be %s", name, manifestFile)
		}
		return nil
	}
	switch {
	case name == manifestFile || name == o.last:
		return fmt.Errorf("%q appears twice", name)
	case name < o.last:
		return fmt.Errorf("%q follows %q: must be sorted by name", name, o.last)
	}
	for i := range len(name) { // a file sorts before the files of a folder with its name
		if name[i] == '/' && o.taken[name[:i]] {
			return fmt.Errorf("%q is a file and a folder", name[:i])
		}
	}
	o.last, o.taken[name] = name, true
	return nil
}
