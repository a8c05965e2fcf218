package benchmarks

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// latencies makes up results of a test at several sizes.
func latencies(test string, sizes ...int) (results []Result) {
	for i, size := range sizes {
		s := newSamples()
		for n := range 1000 {
			s.add(int64(150 + 40*i + n*n/10_000))
		}
		results = append(results, Result{Test: test, Transport: "shm", Mode: Hot, SizeBytes: size, Iterations: 1000,
			RTT: s.roundTrips(), OpsPerSecond: 1e6, BytesPerSecond: 1e6 * float64(size), distribution: s.bars()})
	}
	return results
}

func bandwidths(sizes ...int) (results []Result) {
	for _, size := range sizes {
		results = append(results, Result{Test: "write-bw", Transport: "shm", Mode: Hot, SizeBytes: size, BytesPerSecond: 1e9 + float64(size)})
	}
	return results
}

func TestPlotSVG(t *testing.T) {
	t.Parallel()
	several := append(latencies("send-lat", 8, 64, 4096), latencies("baseline-shm-lat", 8, 64, 4096)...)
	for name, c := range map[string]struct {
		results []Result
		want    []string
		not     []string
	}{
		"latency": {several,
			[]string{"Round trip over message size", "message size (bytes)", "round trip", "send-lat on shm, hot, p50", "send-lat on shm, hot, p99",
				"baseline-shm-lat, hot, p50", "Cumulative distribution of all samples", "send-lat, 8 B", "baseline-shm-lat, 4 KiB", "share of samples at or below", "200 ns", "100 %", "1 Ki"},
			[]string{"Bandwidth"}},
		"one size": {latencies("send-lat", 64), []string{"Cumulative distribution", "send-lat, 64 B"}, []string{"over message size"}},
		"many sizes": {latencies("send-lat", 1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
			[]string{"(6 of 10 sizes)", "send-lat, 1 B", "send-lat, 512 B"}, []string{"send-lat, 256 B"}},
		"bandwidth":       {bandwidths(64, 1<<20), []string{"Bandwidth over message size", "write-bw on shm, hot", "1 GB/s"}, []string{"Round trip"}},
		"one bandwidth":   {bandwidths(64), []string{"Bandwidth over message size"}, nil},
		"the least":       {append(bandwidths(1), latencies("send-lat", 1)...), []string{"Bandwidth over message size", "send-lat, 1 B"}, nil},
		"all of one time": {[]Result{{Test: "x", RTT: RoundTrips{1, 1, 1, 1, 1}, distribution: []Bar{{1, 1, 5}}}}, []string{"Cumulative"}, nil},
	} {
		file := filepath.Join(t.TempDir(), "out.svg")
		require.NoError(t, WritePlot(file, c.results), name)
		text := svgText(t, file)
		for _, w := range c.want {
			require.Contains(t, text, w, name)
		}
		for _, n := range c.not {
			require.NotContains(t, text, n, name)
		}
	}
}

// svgText is the text of a picture; the picture has to be well-formed XML.
func svgText(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var text strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(content)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return text.String()
		}
		require.NoError(t, err)
		if data, ok := token.(xml.CharData); ok {
			text.Write(data)
		}
	}
}

func TestPlotPNG(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "out.PNG")
	require.NoError(t, os.WriteFile(file, []byte("what was there before"), 0o600))
	require.NoError(t, WritePlot(file, latencies("send-lat", 8, 64)))
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	picture, err := png.Decode(f)
	require.NoError(t, err)
	require.Greater(t, picture.Bounds().Dx(), 1500, "two panels")
	require.Greater(t, picture.Bounds().Dy(), 500)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")
}

func TestPlotErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.ErrorIs(t, WritePlot(filepath.Join(dir, "out.svg"), nil), errNothingToPlot)
	require.ErrorContains(t, WritePlot(filepath.Join(dir, "out.gif"), bandwidths(1)), "must end in one of .svg, .png")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken.svg"), 0o700))
	require.Error(t, WritePlot(filepath.Join(dir, "taken.svg"), bandwidths(1)))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")
}

func TestRunPlots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out.svg")
	runOne(t, Config{Test: "baseline-memcpy-bw", Iterations: 100, Sizes: []int{64, 4096}, Plot: file})
	require.Contains(t, svgText(t, file), "baseline-memcpy-bw, hot")
}
