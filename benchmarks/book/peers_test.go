package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/benchmarks/internal/chart"
)

func sample(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

// What other programs print is understood. The samples of UCX and libfabric are real ones;
// those of perftest are written by its format.
func TestOutputsOfPeers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		read func(string) (float64, error)
		want float64
	}{
		{"ucx-tag-lat.csv", func(s string) (float64, error) { return csvColumn(s, "50.0_percentile_lat") }, 3.355},
		{"ucx-tag-bw.csv", func(s string) (float64, error) { return csvColumn(s, "overall_bw") }, 9218.02},
		{"ucx-tag-bw.csv", func(s string) (float64, error) { return csvColumn(s, "overall_mr") }, 147488},
		{"fi-pingpong.txt", func(s string) (float64, error) { return columnOf(s, "usec/xfer") }, 1.70},
		{"ib-write-lat.txt", func(s string) (float64, error) { return perftestColumn(s, latencyColumn) }, 4.36},
		{"ib-write-bw.txt", func(s string) (float64, error) { return perftestColumn(s, averageColumn) }, 598.47},
	} {
		got, err := c.read(sample(t, c.file))
		require.NoError(t, err, c.file)
		require.Equal(t, c.want, got, c.file)
		for _, text := range []string{"", "\n", "segmentation fault\n", "a,b\n1\n"} {
			_, err := c.read(text)
			require.Error(t, err, "%s, of %q", c.file, text)
		}
	}
	_, err := csvColumn("iterations,overall_bw\n100,-nan\n", "overall_bw")
	require.Error(t, err)
	_, err = csvColumn("iterations,overall_bw\n", "overall_bw")
	require.Error(t, err)
}

func TestVersionsOfPeers(t *testing.T) {
	t.Parallel()
	require.Equal(t, "1.13.1", ucxVersion("# Version 1.13.1\n# Git branch '<unknown>', revision 0000000\n"))
	require.Equal(t, "1.15.0", ucxVersion("# Library version: 1.15.0\n# Library path: /usr/lib\n"))
	require.Equal(t, "libfabric 1.17.0", libfabricVersion("fi_info: 1.17.0\nlibfabric: 1.17.0\nlibfabric api: 1.17\n"))
	require.True(t, listsDevice("1 HCA found:\n\trxe0\n"))
	require.False(t, listsDevice("0 HCAs found:\n"))
	require.False(t, listsDevice("Failed to get IB devices list: Function not implemented\n"))
}

// Peers that are ends of this program's give figures, in every test.
func TestOwnPeers(t *testing.T) {
	t.Parallel()
	m, err := lookAtMachine(t.Context())
	require.NoError(t, err)
	for _, test := range []string{testLatency, testRate, testStream} {
		for _, x := range append(socketPeers(m, test), rpcPeers(m, test)...) {
			if x.(*ownPeer).pinned {
				continue // the same, and slow beside other work
			}
			for _, s := range []setting{
				{size: 777, iterations: 31, depth: 4, workers: 3},
				{size: 1 << 20, iterations: 2},
			} {
				if test == testRate && s.size > socketBuffer {
					continue // so large messages are not kept in flight
				}
				t.Run(test+" "+x.name()+" "+chart.Bytes(s.size), func(t *testing.T) {
					f, err := x.measure(t.Context(), s)
					require.NoError(t, err)
					require.Positive(t, f.value)
					count := int64(0)
					for _, b := range f.bars {
						count += b.Count
					}
					if test == testLatency {
						require.EqualValues(t, s.iterations, count)
					}
				})
			}
		}
	}
}

// What a peer says when it fails gets into the error, and nothing of it is left.
func TestEndsThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ends ends
		want string
	}{
		"no such program":   {ends{server: []string{"/no/such/program"}}, "no such file"},
		"the server ends":   {ends{server: []string{"sh", "-c", "echo it broke >&2; exit 3"}, port: 1}, "it broke"},
		"the client fails":  {ends{server: []string{"sleep", "60"}, client: []string{"sh", "-c", "echo refused >&2; exit 1"}}, "refused"},
		"the server's side": {ends{server: []string{"sh", "-c", "echo why >&2; exec sleep 60"}, client: []string{"sh", "-c", "exit 1"}}, "exit status 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.ends.port == 0 { // then a listener, which nobody uses
				l, _, err := listen("unix")
				require.NoError(t, err)
				defer l.Close()
				c.ends.listener = l
			}
			_, err := c.ends.run(t.Context())
			require.ErrorContains(t, err, c.want)
		})
	}
}
