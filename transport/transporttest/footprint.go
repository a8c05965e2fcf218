package transporttest

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"
)

// footprint is what a process holds.
type footprint struct {
	FDs        []string // what each open descriptor is
	Goroutines int
}

var takeFootprint = define("footprint", func(*agent, none) (footprint, error) {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return footprint{}, err
	}
	f := footprint{Goroutines: runtime.NumGoroutine()}
	for _, e := range entries {
		target, err := os.Readlink(dir + "/" + e.Name())
		if err != nil {
			continue // the descriptor with which the folder was read
		}
		f.FDs = append(f.FDs, e.Name()+" -> "+target)
	}
	return f, nil
})

// goroutineStacks is the stacks of all goroutines of a process.
var goroutineStacks = define("goroutine stacks", func(*agent, none) (string, error) {
	var b bytes.Buffer
	err := pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.String(), err
})

// settling is how long, at most, descriptors and goroutines may take to go away after
// everything was closed.
const settling = 5 * time.Second

// compareFootprint checks that an end holds no more than before.
func (p *pair) compareFootprint(e *end, before footprint) {
	p.Helper()
	now := takeFootprint.must(e, false)
	for idle := (pause{}); now.exceeds(before) && idle.waited() < min(settling, p.cfg.Patience); {
		idle.wait()
		now = takeFootprint.must(e, false)
	}
	if len(now.FDs) > len(before.FDs) {
		p.Errorf("end %s: %d descriptors were open before, %d are now:\n\t%s", e.name, len(before.FDs), len(now.FDs), strings.Join(now.FDs, "\n\t"))
	}
	if now.Goroutines > before.Goroutines {
		stacks, err := goroutineStacks.on(e, false)
		if err != nil {
			stacks = fmt.Sprint(err)
		}
		p.Errorf("end %s: %d goroutines ran before, %d do now:\n%s", e.name, before.Goroutines, now.Goroutines, stacks)
	}
}

// exceeds reports whether f holds more than g.
func (f footprint) exceeds(g footprint) bool {
	return len(f.FDs) > len(g.FDs) || f.Goroutines > g.Goroutines
}
