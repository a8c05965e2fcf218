package benchmarks

import (
	"bytes"
	"encoding/xml"
	"fmt"
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
	over := func(transport string, results []Result) []Result {
		for i := range results {
			results[i].Transport = transport
		}
		return results
	}
	several := append(latencies("send-lat", 8, 64, 4096), latencies("baseline-shm-lat", 8, 64, 4096)...)
	compared := append(append(latencies("send-lat", 8, 64), over("softroce:?loss=0.01", latencies("send-lat", 8, 64))...), over("verbs", latencies("send-lat", 8, 64))...)
	for name, c := range map[string]struct {
		results []Result
		want    []string
		not     []string
	}{
		"latency": {several,
			[]string{"Round trip over size: send-lat, shm, hot", "message size (bytes)", "round trip", "send-lat, p50", "send-lat, p99",
				"baseline-shm-lat, p50", "Distribution of round trips: send-lat, shm, hot", "8 B", "baseline-shm-lat, 4 KiB", "share of samples at or below", "200 ns", "99.99 %", "1 Ki"},
			[]string{"Bandwidth", "p99.99"}},
		"transports": {compared,
			[]string{"Round trip over size: send-lat, hot", "shm, p50", "softroce:?loss=0.01, p50", "verbs, p99", "Distribution of round trips: send-lat, hot", "softroce:?loss=0.01, 64 B"}, []string{"send-lat, p50"}},
		"one size":               {latencies("send-lat", 64), []string{"Distribution of round trips: send-lat, shm, hot, 64 B"}, []string{"over size"}},
		"many sizes":             {latencies("send-lat", 1, 2, 4, 8, 16, 32, 64, 128, 256, 512), []string{"(8 of 10 sizes)", "1 B", "512 B"}, []string{"256 B"}},
		"bandwidth":              {bandwidths(64, 1<<20), []string{"Bandwidth over size: write-bw, shm, hot", "write-bw", "1 GB/s"}, []string{"Round trip"}},
		"bandwidths of one size": {append(bandwidths(64), over("softroce", bandwidths(64))...), []string{"Bandwidth: write-bw, hot, 64 B", "softroce", "1 GB/s"}, nil},
		"the least":              {append(bandwidths(1), latencies("send-lat", 1)...), []string{"Bandwidth: write-bw, shm, hot, 1 B", "send-lat"}, nil},
		"all of one time":        {[]Result{{Test: "x", RTT: RoundTrips{1, 1, 0, 1, 1, 1, 1}, distribution: []Bar{{1, 1, 5}}}}, []string{"Distribution"}, nil},
		"baselines":              {latencies("baseline-shm-lat", 8, 64), []string{"Round trip over size", "baseline-shm-lat, p50", "baseline-shm-lat, 8 B"}, nil},
	} {
		file := filepath.Join(t.TempDir(), "out.svg")
		require.NoError(t, WritePlot(file, "rfaas bench 'this'", c.results), name)
		text := svgText(t, file)
		for _, w := range append(c.want, "rfaas bench 'this'", "commit ", " cores, Linux ") {
			require.Contains(t, text, w, name)
		}
		for _, n := range c.not {
			require.NotContains(t, text, n, name)
		}
	}
}

// However many lines there are, an axis ends near the last figure.
func TestAxes(t *testing.T) {
	t.Parallel()
	var results []Result
	for i := range 12 {
		for _, r := range latencies("send-lat", 8, 64) {
			r.Transport = fmt.Sprint("transport", i)
			results = append(results, r)
		}
	}
	p, err := latencyPanel(results)
	require.NoError(t, err)
	require.Less(t, p.Y.Max, 3*float64(results[1].RTT.P99))
	require.Greater(t, p.Y.Min, float64(results[0].RTT.P50)/3)
	require.Less(t, p.X.Max, 3*64.0)
}

// A baseline that stands beside several transports is one line, and lines go from left to right.
func TestLines(t *testing.T) {
	t.Parallel()
	results := append(latencies("send-lat", 64, 8), latencies("baseline-shm-lat", 64, 8, 64)...)
	lines := linesOf(results, tellApart(results, false))
	require.Len(t, lines, 2)
	for _, l := range lines {
		require.Len(t, l.results, 2)
		require.Equal(t, 8, l.results[0].SizeBytes)
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
	require.NoError(t, WritePlot(file, "", latencies("send-lat", 8, 64)))
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
	require.ErrorIs(t, WritePlot(filepath.Join(dir, "out.svg"), "", nil), errNothingToPlot)
	require.ErrorContains(t, WritePlot(filepath.Join(dir, "out.gif"), "", bandwidths(1)), "must end in one of .svg, .png")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "taken.svg"), 0o700))
	require.Error(t, WritePlot(filepath.Join(dir, "taken.svg"), "", bandwidths(1)))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")
}
