//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bpf calls the kernel. The attributes are a struct with the layout of union bpf_attr for the
// command. The caller keeps alive what they point to.
func bpf[T any](command uintptr, attributes *T) (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(attributes)), unsafe.Sizeof(*attributes))
	runtime.KeepAlive(attributes)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}

// newPeers creates the map of allowed destinations.
func newPeers() (int, error) {
	return bpf(unix.BPF_MAP_CREATE, &struct{ kind, keyBytes, valueBytes, entries, flags uint32 }{
		unix.BPF_MAP_TYPE_HASH, uint32(unsafe.Sizeof(destination{})), 1, maxPeers, unix.BPF_F_NO_PREALLOC,
	})
}

// setPeer allows or forbids a destination.
func setPeer(peers int, d destination, allowed bool) error {
	var value byte
	a := struct {
		peers, _   uint32
		key, value unsafe.Pointer
		flags      uint64
	}{peers: uint32(peers), key: unsafe.Pointer(&d)}
	command := uintptr(unix.BPF_MAP_DELETE_ELEM)
	if allowed {
		command, a.value = unix.BPF_MAP_UPDATE_ELEM, unsafe.Pointer(&value)
	}
	_, err := bpf(command, &a)
	runtime.KeepAlive(&d)
	runtime.KeepAlive(&value)
	return err
}

// loadProgram loads a program that filters outgoing packets.
func loadProgram(program []instruction) (int, error) {
	license, _ := unix.BytePtrFromString("BSD")
	load := func(log []byte) (int, error) {
		a := struct {
			kind, count            uint32
			instructions, license  unsafe.Pointer
			logLevel, logBytes     uint32
			log                    unsafe.Pointer
			kernelVersion, flags   uint32
			name                   [16]byte
			interfaceIndex, attach uint32
		}{
			kind: unix.BPF_PROG_TYPE_CGROUP_SKB, count: uint32(len(program)), instructions: unsafe.Pointer(&program[0]), license: unsafe.Pointer(license),
			attach: unix.BPF_CGROUP_INET_EGRESS,
		}
		copy(a.name[:len(a.name)-1], "rfaas_egress")
		if len(log) > 0 {
			a.logLevel, a.logBytes, a.log = 1, uint32(len(log)), unsafe.Pointer(&log[0])
		}
		return bpf(unix.BPF_PROG_LOAD, &a)
	}
	fd, err := load(nil)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EACCES) { // the verifier says why
		log := make([]byte, 64<<10)
		if fd, err = load(log); err != nil {
			err = fmt.Errorf("%w: %s", err, unix.ByteSliceToString(log))
		}
	}
	runtime.KeepAlive(program)
	runtime.KeepAlive(license)
	return fd, err
}

// attachProgram attaches a program to a control group: it filters what the group's sockets
// send, as do the programs of the groups above.
func attachProgram(group, program int) error {
	_, err := bpf(unix.BPF_PROG_ATTACH, &struct{ target, program, kind, flags uint32 }{
		uint32(group), uint32(program), unix.BPF_CGROUP_INET_EGRESS, unix.BPF_F_ALLOW_MULTI,
	})
	return err
}

// canStartInGroup reports whether a process can be started in a group of version 2: since Linux
// 5.7, as this command.
func canStartInGroup() bool {
	none := ^uint32(0)
	_, err := bpf(unix.BPF_LINK_CREATE, &struct{ program, target, kind, flags uint32 }{none, none, unix.BPF_CGROUP_INET_EGRESS, 0})
	return !errors.Is(err, unix.EINVAL)
}
