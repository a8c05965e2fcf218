package benchmarks

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// anyCPU leaves the choice of a core open.
const anyCPU = -1

// cpu is a logical processor and where it sits.
type cpu struct {
	number       int
	core, socket int // -1 if unknown
}

// topologyDir is where Linux describes the processors, within /sys.
const topologyDir = "devices/system/cpu"

// readTopology looks up where the numbered processors sit. sys is the file
// system mounted at /sys.
func readTopology(sys fs.FS, numbers []int) []cpu {
	cpus := make([]cpu, len(numbers))
	for i, n := range numbers {
		read := func(name string) int {
			text, err := fs.ReadFile(sys, path.Join(topologyDir, fmt.Sprintf("cpu%d", n), "topology", name))
			if err != nil {
				return -1
			}
			value, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				return -1
			}
			return value
		}
		cpus[i] = cpu{n, read("core_id"), read("physical_package_id")}
	}
	return cpus
}

// distance orders pairs of processors by how well they suit two processes that
// talk to each other all the time: two cores of one package first, then cores of
// two packages, then two threads of one core, which slow each other down.
func distance(a, b cpu) int {
	switch {
	case a.core < 0 || b.core < 0:
		return 1 // unknown
	case a.socket != b.socket:
		return 1
	case a.core != b.core:
		return 0
	}
	return 2
}

// choosePair picks the processors for the measuring process and its peer from
// those allowed, and says in a sentence what it found. It prefers high numbers:
// interrupts tend to go to the low ones.
func choosePair(allowed []cpu) (measuring, peer int, note string) {
	if len(allowed) == 1 {
		only := allowed[0].number
		return only, only, fmt.Sprintf("both processes share core %d, the only one allowed to this process: the figures are those of the scheduler", only)
	}
	best := 3
	for i := len(allowed) - 1; i > 0; i-- {
		for j := i - 1; j >= 0; j-- {
			if d := distance(allowed[i], allowed[j]); d < best {
				best, measuring, peer = d, allowed[j].number, allowed[i].number
			}
		}
	}
	note = fmt.Sprintf("measuring on core %d, peer on core %d", measuring, peer)
	if best == 2 {
		note += ": two threads of one core, the only ones allowed to this process; they slow each other down"
	}
	return measuring, peer, note
}

// Cores are those that measurements of this process use: what measures, and its peer. They are the same
// if there is one only.
func Cores() (measuring, peer int, err error) {
	allowed, err := allowedCPUs()
	if err != nil {
		return 0, 0, err
	}
	measuring, peer, _ = choosePair(readTopology(os.DirFS("/sys"), allowed))
	return measuring, peer, nil
}

// allowedCPUs lists the processors that this process may run on, in ascending
// order. It looks once, before any thread is pinned: the kernel answers for the
// main thread, which may be pinned later.
var allowedCPUs = sync.OnceValues(func() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(unix.Getpid(), &set); err != nil {
		return nil, fmt.Errorf("benchmarks: which cores are allowed: %w", err)
	}
	var numbers []int
	for n := 0; n < len(set)*64; n++ {
		if set.IsSet(n) {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
})

// onCore runs f on a thread of its own, pinned to a processor, and returns its
// error. The thread ends with f, so that nothing else inherits the pinning.
func onCore(number int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if number != anyCPU {
			var set unix.CPUSet
			set.Set(number)
			if err := unix.SchedSetaffinity(0, &set); err != nil {
				result <- fmt.Errorf("benchmarks: pinning a thread to core %d: %w", number, err)
				return
			}
		}
		result <- f()
	}()
	return <-result
}
