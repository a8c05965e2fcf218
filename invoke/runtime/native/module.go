//go:build cgo && linux && (amd64 || arm64)

package native

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra -O2
// #cgo LDFLAGS: -ldl -lpthread
// #cgo noescape native_call
// #cgo nocallback native_call
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/invoke"
)

// ErrNotSupported is wrapped by the errors of Open in a build without native functions.
var ErrNotSupported = errors.New("native functions are not supported")

// Module is a loaded shared object. It runs one call at a time: a call during another one
// is refused with an error that wraps [invoke.ErrBusy]. Opening a file twice loads it once,
// so the two modules share global variables. Otherwise modules are independent.
type Module struct {
	state  atomic.Uint32
	object *C.struct_native_object
	name   string   // for errors
	path   string   // for the loader
	file   *os.File // the object; stays open, so that its path names nothing else
}

// The states of a module.
const (
	idle uint32 = iota
	running
	closed
)

// install puts this package's signal handlers before Go's, and has what functions print
// written line by line, so that a crash loses no more than the last of it.
var install = sync.OnceValue(func() error {
	for name, value := range unbuffered {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("native: %w", err)
		}
	}
	if errno := syscall.Errno(C.native_install()); errno != 0 {
		return fmt.Errorf("native: installing signal handlers: %w", errno)
	}
	return nil
})

// unbuffered are the environment variables that say the same to libraries with streams of
// their own, when they are loaded: those of Fortran and Python.
var unbuffered = map[string]string{"GFORTRAN_UNBUFFERED_PRECONNECTED": "y", "PYTHONUNBUFFERED": "1"}

// Open loads the shared object in a file, with the libraries that it needs, and runs its
// constructors. The file must not change during that.
func Open(path string, config Config) (*Module, error) {
	// The loader looks for a name without a slash in other folders.
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("native: %w", err)
	}
	f, err := os.Open(absolute)
	if err != nil {
		return nil, fmt.Errorf("native: %w", err)
	}
	return open(f, path, absolute, config)
}

// OpenFile is Open for a file that is already open for reading: it loads this file, whatever
// its name refers to. f remains the caller's. It needs /proc, and libraries beside the file
// ($ORIGIN) are not found.
func OpenFile(f *os.File, config Config) (*Module, error) {
	// A descriptor of the module's own: the loader knows objects by their names, so its
	// number must not be reused while the object is loaded.
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("native: %s: %w", f.Name(), err)
	}
	var fd int
	var failed error
	if err := raw.Control(func(own uintptr) { fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return nil, fmt.Errorf("native: %s: %w", f.Name(), err)
	} else if failed != nil {
		return nil, fmt.Errorf("native: %s: duplicating the descriptor: %w", f.Name(), failed)
	}
	return open(os.NewFile(uintptr(fd), f.Name()), f.Name(), fmt.Sprintf("/proc/self/fd/%d", fd), config)
}

// open loads the object in f, and takes f over.
func open(f *os.File, name, path string, config Config) (*Module, error) {
	m, err := load(f, name, path, config)
	if err != nil {
		f.Close()
	}
	return m, err
}

func load(f *os.File, name, path string, config Config) (*Module, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("native: %w", err)
	}
	if err := check(f, info.Size()); err != nil {
		return nil, fmt.Errorf("native: %s: %w", name, err)
	}
	if err := install(); err != nil {
		return nil, err
	}
	var why [1024]C.char
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	sizes := C.struct_native_sizes{
		stack: C.size_t(config.StackBytes), result: C.size_t(config.ResultBytes), direct: C.uint64_t(config.DirectBytes), global: C.bool(config.Global),
		overrun: (*C.uint64_t)(unsafe.Pointer(config.Overrun)), overflow: (*C.uint64_t)(unsafe.Pointer(config.Overflow)),
	}
	object := C.native_open(cpath, sizes, &why[0], C.size_t(len(why)))
	if object == nil {
		said := C.GoString(&why[0])
		return nil, fmt.Errorf("native: %s: %s: %s", name, said, advice(said))
	}
	return &Module{object: object, name: name, path: path, file: f}, nil
}

// Function makes a function that the object itself defines callable, by the name of its
// symbol. A call allocates nothing, ignores its context, and passes the input with its
// alignment: slots of an invocation are aligned to cache lines. An input of 4 GiB or more is
// answered with StatusTooLarge.
func (m *Module) Function(entry string) (invoke.Function, error) {
	if !m.state.CompareAndSwap(idle, running) {
		return nil, m.unavailable()
	}
	defer m.state.Store(idle)
	names, known := entries(m.file)
	if known && !slices.Contains(names, entry) {
		return nil, noEntry(m.name, entry, names, known)
	}
	symbol := C.CString(entry)
	defer C.free(unsafe.Pointer(symbol))
	f := C.native_lookup(m.object, symbol)
	if f == nil {
		return nil, noEntry(m.name, entry, names, known)
	}
	return func(_ context.Context, in, out []byte) (int, error) { return m.call(f, in, out) }, nil
}

// call is the hot path.
func (m *Module) call(f C.native_function, in, out []byte) (int, error) {
	if uint64(len(in)) > 1<<32-1 {
		return 0, fmt.Errorf("native: an input of %d bytes, a C function takes less than 4 GiB: %w", len(in), invoke.ErrTooLarge)
	}
	if !m.state.CompareAndSwap(idle, running) {
		return 0, m.unavailable()
	}
	n := C.native_call(m.object, f, (*C.uint8_t)(unsafe.SliceData(in)), C.uint32_t(len(in)),
		(*C.uint8_t)(unsafe.SliceData(out)), C.uint64_t(len(out)))
	order.Publish(&m.state, idle)
	if n < 0 {
		return 0, m.noMemory(len(out), syscall.Errno(-n))
	}
	return int(n), nil
}

func (m *Module) noMemory(capacity int, errno syscall.Errno) error {
	return fmt.Errorf("native: %s: memory for results of %d bytes: %w: %w", m.name, capacity, errno, invoke.ErrBusy)
}

// unavailable is the error of a module that is not idle.
func (m *Module) unavailable() error {
	if m.state.Load() == closed {
		return fmt.Errorf("native: %s is closed", m.name)
	}
	return fmt.Errorf("native: %s runs one call at a time: open it once for each worker: %w", m.name, invoke.ErrBusy)
}

// Close unloads the object, after its destructors have run, unless another module or library
// uses it, and writes what the streams of C still hold. Threads that it created must have ended. Close fails while a function runs; a
// second Close does nothing.
func (m *Module) Close() error {
	if !m.state.CompareAndSwap(idle, closed) {
		if m.state.Load() == closed {
			return nil
		}
		return m.unavailable()
	}
	path := C.CString(m.path)
	defer C.free(unsafe.Pointer(path))
	still := C.native_close(m.object, path) != 0
	m.object = nil
	if still {
		keep(m.file)
		return nil
	}
	return m.file.Close()
}

// kept are the files of objects that stay loaded: the loader knows them by the numbers of
// their descriptors.
var kept struct {
	sync.Mutex
	files []*os.File
}

func keep(f *os.File) {
	kept.Lock()
	defer kept.Unlock()
	kept.files = append(kept.files, f)
}
