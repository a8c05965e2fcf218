package executor

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestSiblingsLast(t *testing.T) {
	t.Parallel()
	sys := fstest.MapFS{}
	for n, siblings := range map[int]string{0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"} {
		name := fmt.Sprintf("devices/system/cpu/cpu%d/topology/thread_siblings_list", n)
		sys[name] = &fstest.MapFile{Data: []byte(siblings + "\n")}
	}
	require.Equal(t, []int{0, 2, 1, 3}, siblingsLast(sys, []int{0, 1, 2, 3}))
	require.Equal(t, []int{1, 3}, siblingsLast(sys, []int{1, 3}))
	require.Equal(t, []int{0, 2, 7, 3}, siblingsLast(sys, []int{0, 2, 3, 7}), "of 7 nothing is known")
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		workers int
		threads int
		allowed []int
		want    []int
		note    string
	}{
		{1, 1, []int{4, 5}, []int{4}, ""},
		{2, 1, []int{0, 2, 1, 3}, []int{0, 2}, ""},
		{3, 1, []int{0, 2, 1, 3}, []int{0, 2, 1}, ""},
		{1, 2, []int{4, 5}, []int{4, 5}, ""},
		{2, 2, []int{0, 2, 1, 3, 5}, []int{0, 2, 1, 3}, ""},
		{2, 2, []int{0, 2, 1}, []int{AnyCore, AnyCore, AnyCore, AnyCore}, "workers are not pinned: 3 cores for 2 workers of 2 threads"},
		{2, 1, []int{0, 1}, []int{AnyCore, AnyCore}, "workers are not pinned: 2 cores for 2 workers and the client"},
		{1, 1, []int{3}, []int{AnyCore}, "workers are not pinned: 1 core for 1 worker and the client"},
	} {
		cores, note := Place(c.workers, c.threads, c.allowed)
		require.Equal(t, c.want, cores)
		require.Equal(t, c.note, note)
	}
}
