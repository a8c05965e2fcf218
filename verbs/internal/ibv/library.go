//go:build cgo && linux

package ibv

// #cgo CFLAGS: -std=gnu11 -Wall -Wextra
// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"unsafe"
)

// ErrMissing is wrapped by what Load returns when there is no libibverbs.
var ErrMissing = errors.New("libibverbs is not installed: install Debian/Ubuntu packages libibverbs1 and ibverbs-providers, Fedora libibverbs")

// library is an opened libibverbs. It stays open.
type library struct {
	calls    *C.struct_shim_library
	sysfs    string // where the kernel shows its devices
	forkNote string
}

// installed opens the machine's libibverbs.
var installed = sync.OnceValues(func() (*library, error) { return openLibrary("libibverbs.so.1") })

// Load opens libibverbs, once in the life of the process. Devices and Open do so, too.
func Load() error {
	_, err := installed()
	return err
}

// ForkNote says why memory regions are not safe when the process forks without
// executing another program, or is empty when they are.
func ForkNote() string {
	l, err := installed()
	if err != nil {
		return ""
	}
	return l.forkNote
}

func openLibrary(path string) (*library, error) {
	var why [512]C.char
	var missing C.int
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	calls := C.shim_load(name, &why[0], C.size_t(len(why)), &missing)
	if calls == nil {
		if missing != 0 {
			return nil, fmt.Errorf("%w (%s)", ErrMissing, C.GoString(&why[0]))
		}
		return nil, fmt.Errorf("libibverbs cannot be used, it is too old or not one: %s", C.GoString(&why[0]))
	}
	l := &library{calls: calls, sysfs: "/sys/class/infiniband"}
	if errno := C.shim_fork_init(calls); errno != 0 {
		l.forkNote = fmt.Sprintf("ibv_fork_init: %v: a child process that does not execute another program must not touch memory regions", syscall.Errno(errno))
	}
	return l, nil
}

// String is the library's name of the event.
func (t EventType) String() string {
	l, err := installed()
	if err != nil {
		return eventNumber(t)
	}
	return l.eventName(t)
}

func (l *library) eventName(t EventType) string {
	if name := C.shim_event_type_str(l.calls, C.uint32_t(t)); name != nil {
		return C.GoString(name)
	}
	return eventNumber(t)
}
