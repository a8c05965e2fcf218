//go:build cgo && linux

package ibv

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"strings"
	"syscall"
	"unsafe"
)

// Devices lists the RDMA devices of this machine that libibverbs has a driver
// for. There are none on a kernel without InfiniBand.
func Devices() ([]Device, error) {
	l, err := installed()
	if err != nil {
		return nil, err
	}
	return l.devices()
}

func (l *library) devices() ([]Device, error) {
	for list := make([]C.struct_shim_device, 16); ; {
		n := int(C.shim_devices(l.calls, &list[0], C.int(len(list))))
		if n < 0 {
			return nil, failed(syscall.Errno(-n), "ibv_get_device_list")
		}
		if n > len(list) {
			list = make([]C.struct_shim_device, n)
			continue
		}
		devices := make([]Device, n)
		for i, d := range list[:n] {
			devices[i] = Device{C.GoString(&d.name[0]), uint64(d.guid), nodeName(int(d.node_type))}
		}
		return devices, nil
	}
}

// Open opens a device.
func Open(name string) (*Context, error) {
	l, err := installed()
	if err != nil {
		return nil, err
	}
	return l.open(name)
}

func (l *library) open(name string) (*Context, error) {
	devices, err := l.devices()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(devices))
	found := false
	for i, d := range devices {
		names[i] = d.Name
		found = found || d.Name == name
	}
	if !found {
		there := "there is none on this machine"
		if len(names) > 0 {
			there = "there is " + strings.Join(names, ", ")
		}
		return nil, fmt.Errorf("RDMA device %q: %w: %s", name, syscall.ENODEV, there)
	}
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	c, err := C.shim_open_device(l.calls, cname)
	if c == nil {
		return nil, fmt.Errorf("%w (does this process have its /dev/infiniband/uverbs* and the right to open it?)", noObject(err, "ibv_open_device of %s", name))
	}
	events, err := newNotifier(int(C.shim_async_fd(c)), "asynchronous events of "+name)
	if err != nil {
		C.shim_close_device(l.calls, c)
		return nil, err
	}
	return &Context{library: l, name: name, ctx: c, events: events}, nil
}
