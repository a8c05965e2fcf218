package pack

import (
	"errors"
	"fmt"
)

// Grant is a directory that a node gives to packages that request it by its name.
type Grant struct {
	Path     string // on the node
	Writable bool   // for packages that request that
}

// Mount is a directory that a package gets.
type Mount struct {
	Guest    string // its path in the module: /NAME
	Path     string // on the node
	Writable bool   // as requested
}

// Mounts returns the directories that a package gets from a node with these grants, by
// name: exactly those that it requests, with the access that it requests. If the node does
// not give all of them, the error lists what it does not give.
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
