package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUsedTime(t *testing.T) {
	t.Parallel()
	const stat = `cpu  900 900 900 900 900 900 900 900 900 900
cpu0 100 20 3 5000 600 70 80 90 50 5
cpu1 7 0 0 5000 0 0 0 0 0 0
cpu10 40 0 0 5000 0 0 0 0 0 0
intr 5 1 2
`
	used, err := usedTime([]byte(stat), map[int]bool{0: true, 10: true, 11: true})
	require.NoError(t, err)
	require.Equal(t, (100+20+3+40)*clockTick, used, "without idle processors, interrupts, the hypervisor, and guests twice")
	_, err = usedTime([]byte(stat), map[int]bool{2: true})
	require.ErrorContains(t, err, "none of the processors")
	_, err = usedTime([]byte("cpu0 1 x 3 4\n"), map[int]bool{0: true})
	require.ErrorContains(t, err, `"cpu0 1 x 3 4"`)
}

func TestProcessTimes(t *testing.T) {
	t.Parallel()
	times, err := parseTimes([]byte("7 (a) b (c) R 3 7 7 0 -1 4194560 1 2 3 4 11 12 13 14 20 0 1 0 99\n"))
	require.NoError(t, err)
	require.Equal(t, processTimes{parent: 3, own: 23 * clockTick, reaped: 27 * clockTick}, times)
	for _, bad := range []string{"", "7 (a", "7 (a) R 3 7 7 0 -1 0 1 2 3 4 11 12 13"} {
		_, err := parseTimes([]byte(bad))
		require.Error(t, err, bad)
	}
	all := []processTimes{
		{pid: 1, own: time.Hour}, {pid: 2, parent: 1, own: time.Minute},
		{pid: 3, parent: 2, own: 1}, {pid: 4, parent: 3, own: 10, reaped: 100}, {pid: 5, parent: 2, own: 1000}, {pid: 6, parent: 1, own: time.Hour},
	}
	require.EqualValues(t, 1111, timeBelow(all, 2))
	require.Zero(t, timeBelow(all, 5))
}

// What a child has used is counted once, also if it ends while processes are looked at.
func TestOwnTime(t *testing.T) {
	t.Parallel()
	ended := 0 // children, of three which have used 100 each
	one := func(int) (processTimes, error) {
		return processTimes{pid: 2, own: 1, reaped: time.Duration(100 * ended)}, nil
	}
	children := func() []processTimes {
		all := []processTimes{{pid: 2, own: 1}}
		for pid := ended; pid < 3; pid++ {
			all = append(all, processTimes{pid: 10 + pid, parent: 2, own: 100})
		}
		return all
	}
	for name, all := range map[string]func() ([]processTimes, error){
		"both": func() ([]processTimes, error) {
			seen := children()
			ended = min(ended+1, 3)
			return seen, nil
		},
		"neither": func() ([]processTimes, error) {
			if ended == 3 {
				return children(), nil
			}
			ended++
			return children()[:1], nil
		},
	} {
		ended = 0
		own, err := ownTime(2, one, all)
		require.NoError(t, err, name)
		require.EqualValues(t, 301, own, name)
	}
	_, err := ownTime(2, one, func() ([]processTimes, error) { ended++; return nil, nil })
	require.ErrorContains(t, err, "executors end faster")
	_, err = ownTime(2, one, func() ([]processTimes, error) { return nil, errors.New("no /proc") })
	require.ErrorContains(t, err, "no /proc")
}
