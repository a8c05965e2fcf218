package main

import (
	"archive/zip"
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

var (
	pageFile  = regexp.MustCompile("(?ms)^```go (\\S+)\n(.*?)^```$")
	pageBlock = regexp.MustCompile("(?ms)^```(sh|go \\S+)\n(.*?)^```$")
)

// pageFiles are the files that a page says to save.
func pageFiles(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", page))
	require.NoError(t, err)
	files := map[string]string{}
	for _, found := range pageFile.FindAllStringSubmatch(string(text), -1) {
		files[found[1]] = found[2]
	}
	return files
}

// Pages are followed to the letter by somebody who has nothing but Go: the module comes from a
// proxy that has this tree as its only version.
func TestPages(t *testing.T) {
	for _, c := range []struct {
		page, from, to string // what stands between these headings
		says           []string
	}{
		{"EMBED.md", "## Two programs", "## What there is", []string{`(?m)^CALL 997 by (one|two)$`, `(?m)^CALL 999 by (one|two)$`}},
		{"CI.md", "A test that runs over", "A provider of your own", []string{`(?m)^ok  \texample.com/mine`, `(?m)^--- PASS: TestTransports|PASS`}},
	} {
		t.Run(c.page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../../docs", c.page))
			require.NoError(t, err)
			_, part, found := strings.Cut(string(text), c.from)
			require.True(t, found)
			part, _, found = strings.Cut(part, c.to)
			require.True(t, found)
			// The name that the page shows is everybody's on this machine.
			part = strings.ReplaceAll(part, "@quickstart-", "@quickstart-"+rand.Text()+"-")
			script := &strings.Builder{}
			fmt.Fprintln(script, "set -e; trap 'kill $(jobs -p) 2> /dev/null || true' EXIT")
			for _, block := range pageBlock.FindAllStringSubmatch(part, -1) {
				if file, isFile := strings.CutPrefix(block[1], "go "); isFile {
					fmt.Fprintf(script, "cat > %s <<'END OF FILE'\n%sEND OF FILE\n", file, block[2])
				} else {
					script.WriteString(block[2])
				}
			}
			cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
			cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), ownProxy(t)...)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s\n%s", script, out)
			for _, want := range c.says {
				require.Regexp(t, want, string(out))
			}
		})
	}
}

// The program can be installed as the pages say, and knows what it is.
func TestInstall(t *testing.T) {
	if !effort.Whole() {
		t.Skip("left to .ci/long: it builds everything again; TEST_EFFORT=whole runs it")
	}
	for _, page := range []string{"docs/CI.md", "docs/COMPARE.md", "README.md"} {
		text, err := os.ReadFile("../../" + page)
		require.NoError(t, err)
		require.Contains(t, string(text), "go install github.com/rfaas-go/rfaas/cmd/rfaas@latest", page)
	}
	bin := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "install", "github.com/rfaas-go/rfaas/cmd/rfaas@latest")
	cmd.Dir, cmd.Env = bin, append(append(os.Environ(), ownProxy(t)...), "GOBIN="+bin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.CommandContext(t.Context(), filepath.Join(bin, "rfaas"), "version").CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(out), "rfaas v0.0.1 ")
}

// ownProxy makes a module proxy of this tree, and returns the environment of somebody who uses it. What the
// module needs comes from where it came from before.
func ownProxy(t *testing.T) []string {
	t.Helper()
	const version = "v0.0.1"
	dir := t.TempDir()
	at := filepath.Join(dir, "proxy/github.com/rfaas-go/rfaas/@v")
	require.NoError(t, os.MkdirAll(at, 0o755))
	goMod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	for name, content := range map[string]string{"list": version, version + ".info": `{"Version":"` + version + `"}`, version + ".mod": string(goMod)} {
		require.NoError(t, os.WriteFile(filepath.Join(at, name), []byte(content), 0o644))
	}
	require.NoError(t, writeModule(filepath.Join(at, version+".zip"), "github.com/rfaas-go/rfaas@"+version))
	env := func(name string) string {
		out, err := exec.Command("go", "env", name).Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	return []string{
		"GOMODCACHE=" + filepath.Join(dir, "modules"), "GOFLAGS=-modcacherw", "GOSUMDB=off", "GONOSUMDB=*", "GOWORK=off",
		fmt.Sprintf("GOPROXY=file://%s/proxy,file://%s/cache/download,%s", dir, env("GOMODCACHE"), env("GOPROXY")),
	}
}

// writeModule writes the sources of this tree as the archive of a module.
func writeModule(path, prefix string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := zip.NewWriter(f)
	root := os.DirFS("../..")
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > 2<<20 { // a program that was built here
			return err
		}
		from, err := root.Open(name)
		if err != nil {
			return err
		}
		defer from.Close()
		to, err := w.Create(prefix + "/" + name)
		if err == nil {
			_, err = io.Copy(to, from)
		}
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}
