package shm

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// mapped counts the peers' regions that this process has mapped. The kernel bounds
// the mappings of a process, vm.max_map_count; half of them are left to the program.
var mapped budget

type budget struct{ regions, bytes atomic.Int64 }

// maxMappedBytes is a quarter of a process's addresses.
const maxMappedBytes = 1 << 45

var maxMapped = sync.OnceValue(func() int64 {
	text, err := os.ReadFile("/proc/sys/vm/max_map_count")
	if n, perr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && perr == nil {
		return n / 2
	}
	return 65530 / 2 // the kernel's default
})

func (b *budget) take(bytes int) error {
	regions, all := b.regions.Add(1), b.bytes.Add(int64(bytes))
	if regions <= maxMapped() && all <= maxMappedBytes {
		return nil
	}
	b.give(bytes)
	return fmt.Errorf("%w: this process has mapped %d regions of its peers, of %d bytes, and maps no more than %d (half of vm.max_map_count), of %d", transport.ErrOutOfRange, regions-1, all-int64(bytes), maxMapped(), maxMappedBytes)
}

func (b *budget) give(bytes int) {
	b.regions.Add(-1)
	b.bytes.Add(-int64(bytes))
}
