package accounting

import (
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/internal/pages"
)

// Page is a page as its writer has it: mapped. There must be one writer at a time,
// one goroutine of one process. None of the methods may be called after Close, or
// while it runs.
type Page struct {
	header PageHeader
	mem    []byte
	words  [Quantities]*atomic.Uint64
}

// MapPage maps a page, to write it, from the File of a PageFile, most often in
// another process. The words keep their values. The file remains the caller's
// and may be closed. A page that is not as it was made is ErrPageDamaged.
func MapPage(file *os.File) (*Page, error) {
	var b [PageBytes + 1]byte
	n, err := preadPage(file, b[:])
	if err != nil {
		return nil, fmt.Errorf("accounting: %w", err)
	}
	header, _, err := decodePage(b[:n])
	if err != nil {
		return nil, fmt.Errorf("accounting: %s: %w", file.Name(), err)
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, PageBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("accounting: %s: mmap: %w", file.Name(), err)
	}
	p := &Page{header: header, mem: mem}
	for q := range p.words {
		p.words[q] = pages.Word(mem[pageWordsAt+8*q:])
	}
	return p, nil
}

// Header says whose page it is, as it was when the page was mapped.
func (p *Page) Header() PageHeader { return p.header }

// Add adds n, in q's unit, to a word. Readers see it whole, and soon. One goroutine
// calls Add and Store.
func (p *Page) Add(q Quantity, n uint64) {
	w := p.words[q]
	order.Publish64(w, w.Load()+n)
}

// Store sets a word to v, in q's unit, which must not be less than what it is. One
// goroutine calls Add and Store.
func (p *Page) Store(q Quantity, v uint64) { order.Publish64(p.words[q], v) }

// Usage is what the words are, each as it was at some moment of the call. Any
// goroutine may call it.
func (p *Page) Usage() (u Usage) {
	for q, w := range p.words {
		u[q] = w.Load()
	}
	return u
}

// Close unmaps the page. The file has what was written, also when the process ends
// without Close.
func (p *Page) Close() error { return unix.Munmap(p.mem) }
