package executor

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/pages"
)

// overrunWord is the executor's word of the progress page for Code.Overrun.
func (p *progress) overrunWord() *atomic.Uint64 { return pages.Word(p.mem[16:]) }

// overrun is what the supervisor sees there: how much room for its result the function
// had that went past it and crashed, or 0. After close there is none.
func (p *progress) overrun() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mem == nil {
		return 0
	}
	return int64(p.overrunWord().Load())
}
