package benchmarks

import (
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

var (
	soak     = flag.Int("soak", 20_000, "calls of TestSoak; from a million on the p99 counts")
	soakWith = flag.Int("soak-others", deckClients, "clients that come and go meanwhile, spread over the calls")
)

const (
	soakWhole   = 1_000_000 // calls from which on figures say something
	soakWindows = 5         // of either kind, then
	soakHeap    = 4 << 20   // bytes that a worker's heap may differ by
	soakLines   = 64        // other mappings: the Go runtime keeps its threads and its heap
	soakSlower  = 2.0       // p99 with the others by p99 alone, at most
)

// A worker serves four honest clients while others come and go: some are killed, some
// are hostile. It holds no more at the end than with the four alone, and these get right
// answers all the time; on a quiet machine nearly as fast as alone.
func TestSoak(t *testing.T) { // not parallel: it takes all there is
	requireTwoCores(t)
	effort.TwoProcesses(t)
	windows, whole := 1, *soak >= soakWhole
	if whole {
		windows = soakWindows
	}
	least, comings := *soak*9/10/windows, *soakWith/windows*deckComings/deckClients
	address := filepath.Join(t.TempDir(), "s")
	worker, honest := startSoak(t, "worker", address), startSoak(t, "honest", address)
	others := startSoak(t, "others", address)
	before := worker.holds(t)
	require.Equal(t, honestClients, before.Clients)

	var alone, with []soakWindow
	var all soakCame
	for range windows {
		alone = append(alone, honest.calls(t, *soak/10/windows, func() {}))
		with = append(with, honest.calls(t, least, func() { all.add(others.visit(t, comings, honest, least)) }))
	}

	after := worker.settles(t, before)
	summarizeSoak(t, before, after, alone, with, &all)
	require.Empty(t, all.Wrong, "what others were not to see")
	require.Empty(t, after.beyond(before), "the worker holds more than before")
	calls := 0
	for _, w := range append(alone, with...) {
		calls += w.Calls
	}
	require.GreaterOrEqual(t, calls, *soak-honestClients*2*windows)
	require.Less(t, all.CPU.Seconds()/all.Wall.Seconds(), 0.11, "the others keep to a tenth of a core")
	if whole {
		require.LessOrEqual(t, soakRatio(alone, with), soakSlower, "p99 with the others by p99 alone")
	}
}

// visit has others come so many times, spread over the calls that the honest clients make,
// and returns when they are gone.
func (p *soakProcess) visit(t *testing.T, comings int, honest *soakProcess, calls int) (came soakCame) {
	t.Helper()
	for n := range comings {
		for honest.called(t) < n*(calls/comings) {
			time.Sleep(20 * time.Millisecond) // more questions would be seen in the p99
		}
		p.tell(t, "come")
	}
	p.tell(t, "gone?")
	p.answer(t, &came)
	return came
}

// settles waits until the worker holds no more than before, or has had its time: what
// clients had is freed behind them.
func (p *soakProcess) settles(t *testing.T, before soakHoldings) soakHoldings {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	for {
		h := p.holds(t)
		if h.beyond(before) == "" || time.Now().After(end) {
			return h
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// soakRatio is the median p99 with the others by that without.
func soakRatio(alone, with []soakWindow) float64 {
	return float64(middleP99(with)) / float64(middleP99(alone))
}

func middleP99(windows []soakWindow) int64 {
	var all []int64
	for _, w := range windows {
		all = append(all, w.P99)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (w *soakWindow) log(t *testing.T, name string) {
	t.Logf("%-15s %9d calls %8.0f /s   p50 %s   p99 %s", name, w.Calls, float64(w.Calls)/w.Wall.Seconds(), time.Duration(w.P50), time.Duration(w.P99))
}

func summarizeSoak(t *testing.T, before, after soakHoldings, alone, with []soakWindow, all *soakCame) {
	for i := range alone {
		alone[i].log(t, "alone")
		with[i].log(t, "with the others")
	}
	t.Logf("p99 with the others by p99 alone %.2f", soakRatio(alone, with))
	var kinds []string
	sum := 0
	for _, kind := range slices.Sorted(maps.Keys(all.Kinds)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, all.Kinds[kind]))
		sum += all.Kinds[kind]
	}
	t.Logf("%d others: %s", sum, strings.Join(kinds, ", "))
	t.Logf("they took %s of processor time in %s: %.3f of a core", all.CPU, all.Wall, all.CPU.Seconds()/all.Wall.Seconds())
	t.Logf("the worker before: %v", before)
	t.Logf("the worker after:  %v", after)
}
