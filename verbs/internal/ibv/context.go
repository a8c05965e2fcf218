//go:build cgo && linux

package ibv

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Context is an opened device. Its methods may be called concurrently.
type Context struct {
	library *library
	name    string
	ctx     *C.struct_abi_context // nil when closed
	events  *notifier
	open    atomic.Int64 // objects made from it
}

// Close closes the device, and ends Event.
func (c *Context) Close() error {
	if c.ctx == nil {
		return nil
	}
	c.events.close()
	if n := c.open.Load(); n > 0 { // the library would free what they point to
		return fmt.Errorf("closing %s: %d objects made from it are still open: %w", c.name, n, syscall.EBUSY)
	}
	if errno := C.shim_close_device(c.library.calls, c.ctx); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_close_device of %s", c.name)
	}
	c.ctx = nil
	return nil
}

// QueryDevice returns the device's limits.
func (c *Context) QueryDevice() (DeviceAttr, error) {
	var a C.struct_abi_device_attr
	if errno := C.shim_query_device(c.library.calls, c.ctx, &a); errno != 0 {
		return DeviceAttr{}, failed(syscall.Errno(errno), "ibv_query_device of %s", c.name)
	}
	return DeviceAttr{
		Firmware:        C.GoString(&a.fw_ver[0]),
		VendorID:        uint32(a.vendor_id),
		VendorPartID:    uint32(a.vendor_part_id),
		MaxMRSize:       uint64(a.max_mr_size),
		MaxQP:           int(a.max_qp),
		MaxQPWR:         int(a.max_qp_wr),
		MaxSGE:          int(a.max_sge),
		MaxCQ:           int(a.max_cq),
		MaxCQE:          int(a.max_cqe),
		MaxMR:           int(a.max_mr),
		MaxPD:           int(a.max_pd),
		MaxQPRdAtom:     int(a.max_qp_rd_atom),
		MaxQPInitRdAtom: int(a.max_qp_init_rd_atom),
		MaxSRQ:          int(a.max_srq),
		MaxSRQWR:        int(a.max_srq_wr),
		MaxSRQSGE:       int(a.max_srq_sge),
		AtomicCap:       int(a.atomic_cap),
		PhysPorts:       int(a.phys_port_cnt),
	}, nil
}

// QueryPort returns the attributes of a port. Ports are numbered from 1.
func (c *Context) QueryPort(port int) (PortAttr, error) {
	var a C.struct_abi_port_attr
	p, err := byteOf("port", port)
	if err != nil {
		return PortAttr{}, err
	}
	if errno := C.shim_query_port(c.library.calls, c.ctx, p, &a); errno != 0 {
		return PortAttr{}, failed(syscall.Errno(errno), "ibv_query_port of %s, port %d", c.name, port)
	}
	return PortAttr{
		State:       PortState(a.state),
		PhysState:   int(a.phys_state),
		MaxMTU:      mtuBytes(a.max_mtu),
		ActiveMTU:   mtuBytes(a.active_mtu),
		GIDTableLen: int(a.gid_tbl_len),
		MaxMessage:  uint32(a.max_msg_sz),
		LID:         uint16(a.lid),
		LinkLayer:   int(a.link_layer),
	}, nil
}

// GIDs lists the addresses of a port, without the empty entries of its table.
func (c *Context) GIDs(port int) ([]GID, error) {
	attr, err := c.QueryPort(port)
	if err != nil {
		return nil, err
	}
	var gids []GID
	attributes := filepath.Join(c.library.sysfs, c.name, "ports", strconv.Itoa(port), "gid_attrs")
	for i := range attr.GIDTableLen {
		var gid C.union_abi_gid
		errno := syscall.Errno(C.shim_query_gid(c.library.calls, c.ctx, C.uint8_t(port), C.int(i), &gid))
		if errno != 0 {
			return nil, failed(errno, "ibv_query_gid of %s, port %d, index %d", c.name, port, i)
		}
		if [16]byte(gid) == ([16]byte{}) {
			continue
		}
		gids = append(gids, GID{
			Index:     i,
			Addr:      gid,
			Type:      firstLine(filepath.Join(attributes, "types", strconv.Itoa(i))),
			Interface: firstLine(filepath.Join(attributes, "ndevs", strconv.Itoa(i))),
		})
	}
	return gids, nil
}

// firstLine is the value of a kernel attribute; empty if there is none, for
// which reading gives various errors.
func firstLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// Event waits for the next asynchronous event, and acknowledges it. One
// goroutine at a time. After Close has begun it returns os.ErrClosed.
func (c *Context) Event() (Event, error) {
	var e C.struct_shim_event
	err := c.events.wait(context.Background(), func() syscall.Errno {
		return syscall.Errno(C.shim_async_event(c.library.calls, c.ctx, &e))
	})
	if err != nil {
		return Event{}, fmt.Errorf("ibv_get_async_event of %s: %w", c.name, err)
	}
	return Event{Type: EventType(e._type), QPN: uint32(e.qpn), Port: int(e.port)}, nil
}
