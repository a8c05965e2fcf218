//go:build cgo && linux

package ibv

import (
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// control is struct control of testdata/fake.c.
type control struct {
	devices    int32
	forkInit   int32
	failErrno  int32
	fail       [32]byte
	scramble   [32]byte
	accept     int32
	refusal    int32
	noBadWR    int32
	emptyPolls int32
	quiet      int32
	polls      int32
	eventFD    int32
	traced     uint32
	trace      [1 << 16]byte
}

// raised is struct raised of testdata/fake.c.
type raised struct{ kind, port int32 }

// newControl makes and maps the file through which a fake is controlled.
func newControl(t testing.TB, path string) *control {
	t.Helper()
	const size = int(unsafe.Sizeof(control{}))
	require.NoError(t, os.WriteFile(path, make([]byte, size), 0o644))
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer file.Close()
	mem, err := unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	require.NoError(t, err)
	return (*control)(unsafe.Pointer(&mem[0])) // for good, as the library
}

// raise makes an asynchronous event at the newest opened device.
func (c *control) raise(t testing.TB, kind EventType, port int32) {
	t.Helper()
	r := raised{int32(kind), port}
	_, err := unix.Write(int(c.eventFD), unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r)))
	require.NoError(t, err)
}

// mapped is memory that is no Go heap.
func mapped(t testing.TB, size int) []byte {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(mem)) })
	return mem
}

// address is that of the first byte.
func address(mem []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) }
