package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/benchmarks/internal/origin"
)

func fakePage(t *testing.T, rounds int) *page {
	t.Helper()
	s, _ := fakeSection()
	m, err := s.measure(t.Context(), rounds, io.Discard)
	require.NoError(t, err)
	where := &machine{Info: origin.Info{CPU: "A <Processor>", Kernel: "Linux 7", Go: "go1.26", Commit: "abcdef", Cores: 4}, measuring: 2, peer: 3, taskset: "taskset", started: time.Unix(0, 0)}
	where.note("softroce: on 127.0.0.1:4711, and so on")
	where.note("softroce: on 127.0.0.1:4712, and so on")
	p, err := newPage(where, &options{rounds: rounds, command: "go run ./benchmarks/book --out 'a b'"}, []*measurement{m})
	require.NoError(t, err)
	return p
}

func TestPages(t *testing.T) {
	t.Parallel()
	p := fakePage(t, 3)
	var html, markdown bytes.Buffer
	require.NoError(t, p.writeHTML(&html))
	require.NoError(t, p.writeMarkdown(&markdown))
	for name, text := range map[string]string{"HTML": html.String(), "Markdown": markdown.String()} {
		for _, want := range []string{
			"2 us", "1 us … 3 us", // the base
			"250 ns", "100 ns … 900 ns", "0.125×", "0.1× … 0.3×", // by round, not of the medians
			"missing: install absent-tools", "a remark on it", "failing, 8 B: no luck &lt;today&gt;", "Failed",
			"A &lt;Processor&gt;, 4 cores", "Linux 7", "abcdef", "1970-01-01", "quicker --size 8 B", "127.0.0.1:PORT",
		} {
			require.Contains(t, text, want, name)
		}
		require.Equal(t, 1, strings.Count(text, "127.0.0.1:PORT"), "%s: once", name)
	}
	require.Contains(t, markdown.String(), "| quicker | **250 ns** (100 ns … 900 ns); 0.125× (0.1× … 0.3×) |")
	require.Contains(t, markdown.String(), "](fake.svg)")
	require.Contains(t, html.String(), "<svg role=\"img\"")
	require.NotContains(t, html.String(), "src=", "nothing beside it is needed")
}

// Each kind of plot has the names of its series, and is whole.
func TestPlots(t *testing.T) {
	t.Parallel()
	for _, kind := range []plotKind{lines, distribution, bars} {
		s, _ := fakeSection()
		s.kind = kind
		m, err := s.measure(t.Context(), 2, io.Discard)
		require.NoError(t, err)
		for i := range m.figures {
			for k := range m.figures[i][0] { // samples: one in a thousand is slow
				m.figures[i][0][k].bars = []bar{{From: 100, To: 100, Count: 9_990}, {From: 5000, To: 5100, Count: 10}}
			}
		}
		plot, err := drawPlot(m)
		require.NoError(t, err)
		requireXML(t, plot.SVG)
		require.Contains(t, string(plot.SVG), "sans-serif")
		require.Contains(t, string(plot.SVG), "quicker<")
		require.True(t, bytes.HasPrefix(plot.inline(), []byte(`<svg role="img" viewBox=`)))
		for i := range m.figures {
			m.figures[i][0] = []figure{none, none}
		}
		plot, err = drawPlot(m)
		require.NoError(t, err)
		require.Empty(t, plot.SVG, "nothing to draw")
	}
}

// One round has no spread.
func TestPageOfOneRound(t *testing.T) {
	t.Parallel()
	var markdown bytes.Buffer
	require.NoError(t, fakePage(t, 1).writeMarkdown(&markdown))
	require.Contains(t, markdown.String(), "| quicker | **100 ns**; 0.1× |")
}

func TestPagesAreWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, markdownName), []byte("the one before"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "fake.svg"), 0o700)) // nothing can take its place
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fake.svg", "x"), nil, 0o600))
	require.Error(t, fakePage(t, 1).write(dir))
	require.Equal(t, []string{markdownName, "fake.svg"}, names(t, dir), "and nothing is left beside")
	before, err := os.ReadFile(filepath.Join(dir, markdownName))
	require.NoError(t, err)
	require.Equal(t, "the one before", string(before))

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "fake.svg")))
	require.NoError(t, fakePage(t, 1).write(dir))
	require.Equal(t, []string{markdownName, "fake.svg", htmlName}, names(t, dir))
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// requireXML parses a document to its end.
func requireXML(t *testing.T, text []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	elements := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	require.Greater(t, elements, 10)
}

// A section is measured, with all peers that there are, and both pages are there.
func TestBook(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "book")
	var progress bytes.Buffer
	o := &options{out: dir, quick: true, tiny: true, rounds: 1, only: []string{"latency"}, progress: &progress, command: "book"}
	require.NoError(t, o.run(t.Context()), progress.String())
	require.Equal(t, []string{markdownName, htmlName, "latency.svg"}, names(t, dir))
	svg, err := os.ReadFile(filepath.Join(dir, "latency.svg"))
	require.NoError(t, err)
	requireXML(t, svg)
	markdown, err := os.ReadFile(filepath.Join(dir, markdownName))
	require.NoError(t, err)
	for _, want := range []string{"| invoke shm |", "| Unix socket (base) |", "| gRPC, Unix socket |", "| UCX tag_lat, shm |", "| libfabric shm |", "| perftest ib_write_lat |"} {
		require.Contains(t, string(markdown), want)
	}
	for _, s := range []string{"invoke shm, 64 B", "Unix socket, 64 B", "gRPC, Unix socket, 64 B"} {
		require.NotContains(t, string(markdown), "- "+s+": ", "a failure")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "book")
	for _, c := range []struct {
		options options
		want    string
	}{
		{options{out: dir, rounds: 0}, "--rounds 0"},
		{options{out: dir, rounds: 1, only: []string{"latency", "speed"}}, "--only speed: there is no such section; there are latency, "},
	} {
		require.ErrorContains(t, c.options.run(t.Context()), c.want)
	}
	require.NoDirExists(t, dir)
}
