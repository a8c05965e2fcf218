package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// listed is what `go list` says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

// list runs `go list -deps` on the whole module.
func list(t *testing.T) map[string]listed {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports,Deps,Module", "./...")
	cmd.Dir = filepath.Join(filepath.Dir(file), "..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // all that there is, whatever this test was built with
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	all := map[string]listed{}
	for dec := json.NewDecoder(out); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		all[p.ImportPath] = p
	}
	require.NoError(t, cmd.Wait(), stderr.String())
	require.NotEmpty(t, all)
	return all
}

// within reports whether folder is the pattern, or below it if it ends in "/...".
func within(pattern, folder string) bool {
	if root, deep := strings.CutSuffix(pattern, "/..."); deep {
		return folder == root || strings.HasPrefix(folder, root+"/")
	}
	return folder == pattern
}

// folder is a package's folder within the module; ok is false outside of it.
func folder(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// A program that imports a package imports what that needs: every arrow within
// the module is listed, with its reason, and every listed arrow exists.
func TestArrows(t *testing.T) {
	used := make([]bool, len(arrows))
	for path, p := range list(t) {
		from, ok := folder(path)
		if !ok {
			continue
		}
		for _, imp := range p.Imports {
			to, ok := folder(imp)
			if !ok {
				continue
			}
			allowed := false
			for i, r := range arrows {
				if within(r.From, from) && within(r.To, to) {
					allowed, used[i] = true, true
				}
			}
			if !allowed {
				t.Errorf("%s imports %s, which no rule allows: if it should, add the arrow and its reason to rules.go and to docs/ARCHITECTURE.md", from, to)
			}
		}
	}
	for i, r := range arrows {
		if !used[i] {
			t.Errorf("the arrow %s -> %s (%s) is not in use: remove it", r.From, r.To, r.Why)
		}
	}
}

// An embedder gets the standard library, x/sys, and nothing else.
func TestExternal(t *testing.T) {
	all := list(t)
	for path, p := range all {
		from, ok := folder(path)
		if !ok || free(from) {
			continue
		}
		for _, dep := range p.Deps {
			d := all[dep]
			if d.Standard || d.Module == nil || d.Module.Path == module {
				continue
			}
			allowed := false
			for _, r := range external {
				allowed = allowed || within(r.From, from) && d.Module.Path == r.To
			}
			if !allowed {
				t.Errorf("%s reaches %s of module %s: an embedder of %s would pull it in", from, dep, d.Module.Path, from)
			}
		}
	}
}

// What some packages are to hide is imported by them, and by no other.
func TestSole(t *testing.T) {
	all := list(t)
	used := make([]bool, len(sole))
	for path, p := range all {
		from, ok := folder(path)
		if !ok {
			continue
		}
		for _, imp := range p.Imports {
			m := all[imp].Module
			if m == nil {
				continue
			}
			hidden, allowed := "", false
			for i, r := range sole {
				if m.Path == r.To {
					hidden += " " + r.From
					if within(r.From, from) {
						allowed, used[i] = true, true
					}
				}
			}
			if hidden != "" && !allowed {
				t.Errorf("%s imports %s, which is for these alone:%s", from, imp, hidden)
			}
		}
	}
	for i, r := range sole {
		if !used[i] {
			t.Errorf("%s does not import %s: remove the rule", r.From, r.To)
		}
	}
}

func free(folder string) bool {
	for _, pattern := range unbounded {
		if within(pattern, folder) {
			return true
		}
	}
	return false
}

// The rules themselves do what they say.
func TestWithin(t *testing.T) {
	require.True(t, within("transport/...", "transport"))
	require.True(t, within("transport/...", "transport/shm"))
	require.False(t, within("transport/...", "transporter"))
	require.False(t, within("transport", "transport/shm"))
}
