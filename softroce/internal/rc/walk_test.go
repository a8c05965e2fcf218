package rc_test

import (
	"flag"
	"fmt"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/softroce/internal/rc"
)

// The random walks: queue pairs over a simulated network that does everything
// short of, or including, dying, against a plain model of memory. What they check
// is said where it is checked: walk_model_test.go (what a completion promises),
// walk_receive_test.go (messages), walk_words_test.go (atomics), walk_ending_test.go
// (failures), walk_hostile_test.go (forged packets), walk_run_test.go (liveness).

var (
	walks    = flag.Int("walks", 0, "random walks of each kind; 0: a few seconds' worth")
	walkSeed = flag.Uint64("walkseed", 0, "take only the random walk with this seed, of the kinds that -run selects")
	walkLog  = flag.Int("walklog", 120, "lines of its last events that a failed random walk prints; -1: all")
)

// kind is what is special about a set of walks.
type kind struct {
	name  string
	walks int // by default
	draw  func(w *walk) settings
	// begin arranges what is special, before anything is posted.
	begin func(w *walk)
	// mayFail: queue pairs may go to the error state.
	mayFail bool
}

var kinds = []kind{
	{name: "calm", walks: 150, draw: drawCalm, begin: beginCalm},
	{name: "clean", walks: 150, draw: drawClean},
	{name: "faults", walks: 700, draw: drawFaults},
	{name: "narrow", walks: 150, draw: drawNarrow},
	{name: "shared", walks: 150, draw: drawShared},
	{name: "partition", walks: 100, draw: drawPartition, begin: beginPartition},
	{name: "death", walks: 300, draw: drawDeath, begin: beginDeath, mayFail: true},
	{name: "bystanders", walks: 60, draw: drawBystanders, begin: beginDeath, mayFail: true},
	{name: "close", walks: 250, draw: drawFaults, begin: beginClose, mayFail: true},
	{name: "revoke", walks: 300, draw: drawFaults, begin: beginRevoke, mayFail: true},
	{name: "hostile", walks: 150, draw: drawHostile, begin: beginHostile},
	{name: "forged", walks: 150, draw: drawHostile, begin: beginForged, mayFail: true},
}

func TestWalk(t *testing.T) {
	t.Parallel()
	few := testing.Short() || effort.Race()
	var all outcome
	var mu sync.Mutex
	t.Cleanup(func() {
		if !t.Failed() && !few && all.kinds == len(kinds) && *walkSeed == 0 {
			all.requireEverything(t)
		}
	})
	for i := range kinds {
		k := &kinds[i]
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			var sum outcome
			first, n := uint64(1), *walks
			if n == 0 {
				n = effort.Of(k.walks/2, k.walks)
				if few {
					n = max(10, k.walks/10)
				}
			}
			if *walkSeed != 0 {
				first, n = *walkSeed, 1
			}
			for seed := first; seed < first+uint64(n); seed++ {
				o, report := take(k, seed)
				if report != "" {
					t.Fatal(report)
				}
				sum.add(&o)
			}
			t.Log(&sum)
			mu.Lock()
			defer mu.Unlock()
			all.kinds++
			all.add(&sum)
		})
	}
}

// broken is what a walk panics with when it finds a rule broken.
type broken string

// take takes one walk. When it fails, the same walk is taken again, with a log:
// it is the same to the last bit.
func take(k *kind, seed uint64) (o outcome, report string) {
	o, problem, _ := attempt(k, seed, 0)
	if problem == "" {
		return o, ""
	}
	_, again, w := attempt(k, seed, *walkLog)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nrepeat: go test ./softroce/internal/rc -run 'TestWalk/%s$' -walkseed=%d\n", problem, k.name, seed)
	if again != problem {
		fmt.Fprintf(&b, "NOT DETERMINISTIC: the second time it was: %s\n", again)
	}
	fmt.Fprintf(&b, "%+v\n\n", w.settings)
	for _, line := range w.log.lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%v %s", w.net.Now(), problem)
	return o, b.String()
}

func attempt(k *kind, seed uint64, lines int) (o outcome, problem string, w *walk) {
	w = newWalk(k, seed, lines)
	defer func() {
		switch p := recover().(type) {
		case nil:
		case broken:
			problem = string(p)
		default:
			problem = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
		}
		o = w.outcome()
	}()
	w.run()
	return
}

// outcome is what walks came to, for logs and for the tests of the tests.
type outcome struct {
	kinds                             int
	walks, requests, packets, minimum int
	simulated                         float64 // seconds
	longest                           float64
	damaged                           int
	counters                          rc.Counters
}

func (o *outcome) add(p *outcome) {
	o.walks += p.walks
	o.requests += p.requests
	o.packets += p.packets
	o.minimum += p.minimum
	o.simulated += p.simulated
	o.longest = max(o.longest, p.longest)
	o.damaged += p.damaged
	addCounters(&o.counters, &p.counters)
}

func addCounters(sum, c *rc.Counters) {
	to, from := reflect.ValueOf(sum).Elem(), reflect.ValueOf(c).Elem()
	for i := range to.NumField() {
		to.Field(i).SetUint(to.Field(i).Uint() + from.Field(i).Uint())
	}
}

// requireEverything requires that the walks have met everything that can happen:
// they prove nothing about what they have not.
func (o *outcome) requireEverything(t *testing.T) {
	c := reflect.ValueOf(o.counters)
	for i := range c.NumField() {
		require.NotZero(t, c.Field(i).Uint(), "no walk came across any %s", c.Type().Field(i).Name)
	}
	require.NotZero(t, o.damaged, "no walk came across a damaged packet")
}

func (o *outcome) String() string {
	return fmt.Sprintf("%d walks, %d requests, %d packets (%.2f of the minimum), %.3f s simulated (longest %.3f s), %d damaged packets\n%+v",
		o.walks, o.requests, o.packets, float64(o.packets)/float64(max(o.minimum, 1)), o.simulated, o.longest, o.damaged, o.counters)
}

// TestWalksRepeat: a seed decides everything.
func TestWalksRepeat(t *testing.T) {
	t.Parallel()
	for i := range kinds {
		a, _, _ := attempt(&kinds[i], 5, 0)
		b, _, _ := attempt(&kinds[i], 5, 10)
		c, _, _ := attempt(&kinds[i], 6, 0)
		require.Equal(t, a, b, kinds[i].name)
		require.NotEqual(t, a, c, kinds[i].name)
	}
}
