package executor

import (
	"os"
	"time"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// excess is what an executor has too much of.
type excess struct {
	of   confine.Measure
	what string
}

// excessLook is how often executors are looked at that the kernel does not keep from
// memory, threads and temporary files beyond their limits.
const excessLook = 100 * time.Millisecond

// watchExcess kills the executor when it has too much. shared is memory that it has of the
// supervisor.
func (e *Executor) watchExcess(shared int64) {
	ticker := time.NewTicker(excessLook)
	defer ticker.Stop()
	for {
		select {
		case <-e.ended:
			return
		case <-ticker.C:
		}
		if of, what := e.confined.Excess(shared); what != "" {
			e.exceeded.Store(&excess{of, what})
			e.Kill()
			return
		}
	}
}

// sizeOf is that of a file, 0 of none.
func sizeOf(f *os.File) int64 {
	if f == nil {
		return 0
	}
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}
