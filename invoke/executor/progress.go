package executor

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/invoke"
)

// progress is a page that an executor shares with its supervisor: whether a function
// runs, and which. The executor writes it at the beginning and the end of each call, and
// reads nothing from it. Foreign code can write there, too, so the supervisor relies on it
// only for this executor.
type progress struct {
	mu  sync.Mutex // of close and look
	mem []byte     // nil when closed

	sequence atomic.Uint64  // the executor's own count
	count    *atomic.Uint64 // a copy of sequence: odd while a function runs
	number   *atomic.Uint64 // the function's index in the assignment
}

const progressBytes = 4096

// newProgress makes a page; file is for the executor.
func newProgress() (p *progress, file *os.File, err error) {
	fd, err := unix.MemfdCreate("rfaas-progress", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if err != nil { // kernels before 6.3 do not know MFD_NOEXEC_SEAL
		fd, err = unix.MemfdCreate("rfaas-progress", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("memfd_create: %w", err)
	}
	file = os.NewFile(uintptr(fd), "progress page")
	if err = file.Truncate(progressBytes); err == nil {
		// A page that shrinks would kill the process that reads it.
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err == nil {
		p, err = mapProgress(file)
	}
	if err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("progress page: %w", err)
	}
	return p, file, nil
}

// mapProgress maps the page; the file remains the caller's.
func mapProgress(file *os.File) (*progress, error) {
	mem, err := unix.Mmap(int(file.Fd()), 0, progressBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: mmap: %w", file.Name(), err)
	}
	return &progress{mem: mem, count: pages.Word(mem), number: pages.Word(mem[8:])}, nil
}

func (p *progress) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	mem := p.mem
	p.mem = nil
	return unix.Munmap(mem)
}

// watched wraps a function so that the supervisor sees its calls. One call runs at a time.
func (p *progress) watched(number int, f invoke.Function) invoke.Function {
	return func(ctx context.Context, in, out []byte) (int, error) {
		order.Publish64(p.number, uint64(number))
		p.advance()
		defer p.advance() // also after a panic
		return f(ctx, in, out)
	}
}

func (p *progress) advance() {
	n := p.sequence.Load() + 1
	order.Publish64(&p.sequence, n)
	order.Publish64(p.count, n)
}

// look is the supervisor's view: a number that changes with each call, whether one runs, and
// of which function. After close it is zero.
func (p *progress) look() (count uint64, running bool, number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mem == nil {
		return 0, false, 0
	}
	count = p.count.Load()
	return count, count%2 == 1, p.number.Load()
}

// Where the progress page has the words of Code.Overrun and Code.Overflow.
const (
	overrunAt  = 16
	overflowAt = 24
)

// word is a word of the progress page, for the executor.
func (p *progress) word(at int) *atomic.Uint64 { return pages.Word(p.mem[at:]) }

// noted is what the supervisor sees in such a word: how much a function had of what it had
// too little of, and crashed; or 0. After close there is none.
func (p *progress) noted(at int) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mem == nil {
		return 0
	}
	return int64(p.word(at).Load())
}
