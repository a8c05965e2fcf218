package architecture

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What docs/SECURITY.md says is shown by tests that there are, in the package that it
// names; so are other documents' tests, in some package.
func TestDocumentsNameTests(t *testing.T) {
	t.Parallel()
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	tests := map[string][]string{} // the folders that have them
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		folder, _ := filepath.Rel(root, filepath.Dir(path)) // both are absolute
		for _, m := range declared.FindAllSubmatch(text, -1) {
			tests[string(m[1])] = append(tests[string(m[1])], folder)
		}
		return err
	}))
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, documents)
	named := regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*`)
	block := regexp.MustCompile("(?ms)^```go .*?^```$")
	shown := regexp.MustCompile("`([a-z/]+)` ((?:(?:Test|Fuzz)[A-Z]\\w*(?:, )?)+)")
	for _, path := range append(documents, filepath.Join(root, "README.md")) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		prose := block.ReplaceAllString(string(text), "") // a program that a page shows has tests of its own
		for _, name := range named.FindAllString(prose, -1) {
			require.NotEmpty(t, tests[name], "%s names %s, which there is not", filepath.Base(path), name)
		}
		if filepath.Base(path) != "SECURITY.md" {
			continue
		}
		rows := shown.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, rows)
		for _, m := range rows {
			for _, name := range named.FindAllString(m[2], -1) {
				require.True(t, slices.Contains(tests[name], m[1]), "SECURITY.md says that package %s has %s, which is in %v", m[1], name, tests[name])
			}
		}
	}
}

// The paths that a stranger is shown lead somewhere.
func TestDocumentsNameFiles(t *testing.T) {
	t.Parallel()
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "ARCHITECTURE.md"))
	require.NoError(t, err)
	paths := regexp.MustCompile("`([a-z_/]+/[a-z_]+\\.(?:go|md))`").FindAllSubmatch(text, -1)
	require.Greater(t, len(paths), 40)
	for _, m := range paths {
		require.FileExists(t, filepath.Join(root, string(m[1])))
	}
}

// Links of the pages lead to files, and to headings, that there are.
func TestLinks(t *testing.T) {
	t.Parallel()
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		pages = append(pages, found...)
	}
	link := regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	links := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			path, anchor := m[1], m[2]
			if strings.Contains(path, "://") {
				continue
			}
			links++
			to := page
			if path != "" {
				to = filepath.Join(filepath.Dir(page), path)
			}
			_, err := os.Stat(to)
			require.NoError(t, err, "%s links to %s", page, m[0])
			if anchor != "" {
				content, err := os.ReadFile(to)
				require.NoError(t, err)
				require.Contains(t, anchors(string(content)), anchor, "%s links to %s", page, m[0])
			}
		}
	}
	require.Greater(t, links, 100)
}

// anchors are those of the headings of a page.
func anchors(text string) (all []string) {
	other := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(other.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}
