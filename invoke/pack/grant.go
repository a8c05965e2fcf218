package pack

import (
	"errors"
	"fmt"
)

// Grant is a directory that a node gives to packages that ask for it by its name.
type Grant struct {
	Path     string // on the node
	Writable bool   // for those that ask for that
}

// Mount is a directory that a package asked for and gets.
type Mount struct {
	Guest    string // what the module sees it as: /NAME
	Path     string // on the node
	Writable bool   // as it asked
}

// Mounts are the directories that a package gets of a node with these grants, by
// their names: those that it asks for, no others, and no more than it asks for.
// The error names everything that the node does not give.
func (w WASI) Mounts(grants map[string]Grant) ([]Mount, error) {
	var mounts []Mount
	var problems []error
	for _, d := range w.Directories {
		grant, ok := grants[d.Name]
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("pack: the package asks for the directory %q, which this node does not give", d.Name))
		case d.Writable && !grant.Writable:
			problems = append(problems, fmt.Errorf("pack: the package asks for the directory %q to write, and this node gives it to read only", d.Name))
		default:
			mounts = append(mounts, Mount{Guest: "/" + d.Name, Path: grant.Path, Writable: d.Writable})
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return mounts, nil
}
