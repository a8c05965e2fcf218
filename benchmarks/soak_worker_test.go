package benchmarks

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// playSoakWorker serves echo, and says what it holds.
func playSoakWorker(dev *transport.Device, address string) error {
	r := invoke.NewRegistry()
	if err := r.Register("echo", func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil }); err != nil {
		return err
	}
	w, err := invoke.NewWorker(dev, r, invoke.WorkerConfig{Mode: invoke.Warm})
	if err != nil {
		return err
	}
	l, err := transport.Listen("unix", address)
	if err != nil {
		return err
	}
	go func() {
		err := w.Serve(context.Background(), l)
		fmt.Fprintln(os.Stderr, "the worker has ended:", err)
		os.Exit(1)
	}()
	return answerLines(func(string) (any, error) {
		h, err := lookAtHoldings()
		h.Clients = w.Stats().Clients
		return h, err
	})
}

// soakHoldings is what a process holds, counted by kind.
type soakHoldings struct {
	Descriptors map[string]int // by what they are of
	Shared      map[string]int // mappings of memory files, by name
	Goroutines  map[string]int // by who started them
	Mappings    int            // all of them
	Heap        uint64         // bytes in use, after a collection
	Clients     int
}

// stacks has room for those of all goroutines; what is beyond is not counted.
var stacks []byte

func lookAtHoldings() (h soakHoldings, err error) {
	if stacks == nil {
		stacks = make([]byte, 1<<20)
	}
	runtime.GC()
	runtime.GC() // and what finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h = soakHoldings{Descriptors: map[string]int{}, Shared: map[string]int{}, Goroutines: map[string]int{}, Heap: m.HeapAlloc}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return h, err
	}
	for _, fd := range open {
		target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		kind, _, _ := strings.Cut(target, ":[") // without the number of the socket
		h.Descriptors[kind]++
	}
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return h, err
	}
	for line := range strings.Lines(string(text)) {
		h.Mappings++
		if _, name, found := strings.Cut(line, "/memfd:"); found {
			h.Shared[strings.Fields(name)[0]]++
		}
	}
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		starter := "main"
		if _, after, found := strings.Cut(stack, "created by "); found {
			starter = strings.Fields(after)[0]
		}
		h.Goroutines[starter]++
	}
	return h, nil
}

// beyond says what there is more of than before.
func (h soakHoldings) beyond(before soakHoldings) string {
	var more []string
	for _, c := range []struct {
		what        string
		before, now map[string]int
	}{
		{"descriptors of", before.Descriptors, h.Descriptors},
		{"mappings of", before.Shared, h.Shared},
		{"goroutines of", before.Goroutines, h.Goroutines},
		{"", map[string]int{"clients": before.Clients}, map[string]int{"clients": h.Clients}},
		{"", map[string]int{"mappings of any kind": before.Mappings + soakLines}, map[string]int{"mappings of any kind": h.Mappings}},
		{"", map[string]int{"bytes of heap": int(before.Heap) + soakHeap}, map[string]int{"bytes of heap": int(h.Heap)}},
	} {
		for _, kind := range slices.Sorted(maps.Keys(c.now)) {
			if n := c.now[kind]; n > c.before[kind] {
				more = append(more, strings.TrimSpace(fmt.Sprintf("%s %s: %d, not %d", c.what, kind, n, c.before[kind])))
			}
		}
	}
	return strings.Join(more, "; ")
}

func (h soakHoldings) String() string {
	sum := func(counts map[string]int) (n int) {
		for _, c := range counts {
			n += c
		}
		return n
	}
	return fmt.Sprintf("%d descriptors, %d mappings (%d of memory files), %d goroutines, %.1f MiB of heap, %d clients",
		sum(h.Descriptors), h.Mappings, sum(h.Shared), sum(h.Goroutines), float64(h.Heap)/(1<<20), h.Clients)
}

// holds asks the worker.
func (p *soakProcess) holds(t *testing.T) (h soakHoldings) {
	t.Helper()
	p.tell(t, "holdings")
	p.answer(t, &h)
	return h
}
