package benchmarks

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedMemory makes memory that a child process can inherit: a memfd.
func sharedMemory(bytes int) (*os.File, error) {
	fd, err := unix.MemfdCreate("rfaas-bench", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("shared memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "rfaas-bench")
	if err := f.Truncate(int64(bytes)); err != nil {
		f.Close()
		return nil, fmt.Errorf("%d bytes of shared memory: %w", bytes, err)
	}
	return f, nil
}

// mapShared maps the first bytes of what sharedMemory made. unix.Munmap ends it.
func mapShared(f *os.File, bytes int) ([]byte, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %d bytes of shared memory: %w", bytes, err)
	}
	return mem, nil
}

// wordAt is the 8-byte word of mapped memory at off, a multiple of 8.
func wordAt(mem []byte, off int) *atomic.Uint64 {
	_ = mem[off : off+8]
	return (*atomic.Uint64)(unsafe.Pointer(&mem[off]))
}
