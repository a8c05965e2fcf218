package transporttest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// end is one end of the pair: an agent in this process, or one in a peer
// process, and what the running test needs to speak to it.
type end struct {
	name string // "a" or "b"
	url  string
	host string // to listen on with TCP

	agent   *agent   // in this process, or
	process *process // in another

	t        *testing.T // the running test
	pair     *pair
	caps     transport.Capabilities
	before   footprint // at the beginning of the test
	underWay sync.WaitGroup
}

// fatalf ends the test with a message that names the end, and describes the state of both.
func (e *end) fatalf(format string, args ...any) {
	e.t.Helper()
	message := fmt.Sprintf("end %s: ", e.name) + fmt.Sprintf(format, args...)
	if strings.Contains(message, errHung.Error()) && e.process != nil {
		e.process.signal(syscall.SIGQUIT) // the Go runtime prints every goroutine's stack
		e.process.kill()
	}
	for _, end := range e.pair.ends() {
		if end.process != nil && !end.process.alive() {
			message += fmt.Sprintf("\n\tend %s: the process has ended (%v); what it said last is on the standard error output", end.name, end.process.ended)
			continue
		}
		lines, err := describe.on(end, false)
		if err != nil {
			lines = []string{err.Error()}
		}
		for _, line := range lines {
			message += fmt.Sprintf("\n\tend %s: %s", end.name, line)
		}
	}
	if strings.Contains(message, errDeadline.Error()) {
		stacks := make([]byte, 1<<20)
		message += "\n" + string(stacks[:runtime.Stack(stacks, true)])
	}
	e.t.Fatal(message)
}

// domain makes a protection domain.
func (e *end) domain() handle {
	e.t.Helper()
	return newDomain.must(e, false)
}

// region is a region of an end.
type region struct {
	*end
	id    handle
	size  int
	whole transport.RemoteSpan
}

// alloc makes a region.
func (e *end) alloc(domain handle, size int, access transport.Access) region {
	e.t.Helper()
	reply := allocRegion.must(e, allocArgs{domain, size, access})
	return region{e, reply.Region, size, reply.Remote}
}

// at names a part of the region for the end itself.
func (r region) at(off, n int) place { return place{r.id, off, n} }

// all names the whole region for the end itself.
func (r region) all() place { return r.at(0, r.size) }

// remote names a part of the region for the peer.
func (r region) remote(off, n int) transport.RemoteSpan {
	return transport.RemoteSpan{Addr: r.whole.Addr + uint64(off), Len: uint32(n), Key: r.whole.Key}
}

// close revokes the region.
func (r region) close() {
	r.t.Helper()
	closeObject.must(r.end, r.id)
}

// fill stores a pattern.
func (r region) fill(off, n int, p pattern) {
	r.t.Helper()
	fillMemory.must(r.end, patternArgs{r.at(off, n), p, 0})
}

// expect checks a part of the region against a pattern.
func (r region) expect(what string, off, n int, p pattern) {
	r.t.Helper()
	if _, err := checkMemory.on(r.end, patternArgs{r.at(off, n), p, 0}); err != nil {
		r.fatalf("%s: %v", what, err)
	}
}

// expectFrom checks all from off on.
func (r region) expectFrom(off int, what string, p pattern) {
	r.t.Helper()
	if _, err := checkMemory.on(r.end, patternArgs{r.at(off, r.size-off), p, off}); err != nil {
		r.fatalf("%s: %v", what, err)
	}
}

// word is the 64-bit word at off, in the byte order of the machine.
func (r region) word(off int) uint64 {
	r.t.Helper()
	return loadWord.must(r.end, r.at(off, 8))
}

// setWord stores a 64-bit word.
func (r region) setWord(off int, value uint64) {
	r.t.Helper()
	storeWord.must(r.end, storeArgs{r.at(off, 8), value})
}

// queue is a completion queue of an end.
type queue struct {
	*end
	id handle
}

// queue makes a completion queue.
func (e *end) queue(depth int) queue {
	e.t.Helper()
	return queue{e, newQueue.must(e, depth)}
}

// collect returns the next n completions.
func (q queue) collect(n int) []transport.Completion {
	q.t.Helper()
	got, err := collectCompletions.on(q.end, collectArgs{Queue: q.id, N: n})
	if err != nil {
		q.fatalf("%v: %v", err, got)
	}
	return got
}

// expectNone checks that there is no completion at the moment.
func (q queue) expectNone(what string) {
	q.t.Helper()
	got, err := pollOnce.on(q.end, pollArgs{q.id, 8})
	if err != nil {
		q.fatalf("%s: %v", what, err)
	}
	if len(got) != 0 {
		q.fatalf("%s: unexpected completions: %v", what, got)
	}
}

// expectNoneFor checks that no completion comes for some time.
func (q queue) expectNoneFor(d time.Duration, what string) {
	q.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Millisecond) {
		q.expectNone(what)
	}
	q.expectNone(what)
}
