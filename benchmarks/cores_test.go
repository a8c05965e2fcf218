package benchmarks

import (
	"fmt"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// machine is a /sys of processors, given as {core, package}.
func machine(cpus ...[2]int) fstest.MapFS {
	fs := fstest.MapFS{}
	for n, c := range cpus {
		dir := fmt.Sprintf("%s/cpu%d/topology/", topologyDir, n)
		fs[dir+"core_id"] = &fstest.MapFile{Data: fmt.Appendf(nil, "%d\n", c[0])}
		fs[dir+"physical_package_id"] = &fstest.MapFile{Data: fmt.Appendf(nil, "%d\n", c[1])}
	}
	return fs
}

func TestChoosePair(t *testing.T) {
	t.Parallel()
	hyperthreads := machine([2]int{0, 0}, [2]int{0, 0}, [2]int{1, 0}, [2]int{1, 0})
	packages := machine([2]int{0, 0}, [2]int{0, 0}, [2]int{0, 1}, [2]int{0, 1})
	for _, c := range []struct {
		name            string
		sys             fstest.MapFS
		allowed         []int
		measuring, peer int
		note            string
	}{
		{"two cores", machine([2]int{0, 0}, [2]int{1, 0}), []int{0, 1}, 0, 1, "measuring on core 0, peer on core 1"},
		{"threads of two cores", hyperthreads, []int{0, 1, 2, 3}, 1, 3, "measuring on core 1, peer on core 3"},
		{"affinity leaves one thread each", hyperthreads, []int{0, 2}, 0, 2, "measuring on core 0, peer on core 2"},
		{"one core only", hyperthreads, []int{2, 3}, 2, 3, "measuring on core 2, peer on core 3: two threads of one core, the only ones allowed to this process; they slow each other down"},
		{"two packages of one core", packages, []int{0, 1, 2, 3}, 1, 3, "measuring on core 1, peer on core 3"},
		{"no topology", fstest.MapFS{}, []int{4, 9}, 4, 9, "measuring on core 4, peer on core 9"},
		{"one processor", hyperthreads, []int{3}, 3, 3, "both processes share core 3, the only one allowed to this process: the figures are those of the scheduler"},
	} {
		measuring, peer, note := choosePair(readTopology(c.sys, c.allowed))
		require.Equal(t, c.measuring, measuring, c.name)
		require.Equal(t, c.peer, peer, c.name)
		require.Equal(t, c.note, note, c.name)
	}
}

func TestOneCoreIsNotForHotMode(t *testing.T) {
	t.Parallel()
	r := &runner{cores: []int{3}}
	_, err := r.place(&params{Mode: Hot}, true)
	require.EqualError(t, err, "--mode hot: needs two cores, one for each process, and only core 3 is allowed to this process; use --mode warm or adaptive")
	_, err = r.place(&params{Mode: Warm}, true)
	require.NoError(t, err)
	_, err = r.place(&params{Mode: Hot}, false)
	require.NoError(t, err)
}

func TestOnCore(t *testing.T) {
	t.Parallel()
	allowed, err := allowedCPUs()
	require.NoError(t, err)
	require.NotEmpty(t, allowed)
	last := allowed[len(allowed)-1]
	require.NoError(t, onCore(last, func() error {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &set); err != nil {
			return err
		}
		if set.Count() != 1 || !set.IsSet(last) {
			return fmt.Errorf("runs on %d processors", set.Count())
		}
		return nil
	}))
	require.ErrorContains(t, onCore(1<<12, func() error { return nil }), "pinning a thread to core 4096")
	require.LessOrEqual(t, runtime.NumCPU(), len(allowed))
}
