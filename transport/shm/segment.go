package shm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// segment is a sealed memfd, mapped.
type segment struct {
	mem  []byte
	file *transport.File // nil when only the mapping is held
}

// seals keep the memory's size: if it could shrink, access to it would be fatal.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW

var pageSize = os.Getpagesize()

// newSegment makes a segment of size bytes rounded up to pages, zeroed. If it is
// readOnly, processes that get the descriptor can map it for reading only.
func newSegment(name string, size int, readOnly bool) (*segment, error) {
	size = (size + pageSize - 1) &^ (pageSize - 1)
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", explain(err))
	}
	fail := func(what string, err error) (*segment, error) {
		unix.Close(fd)
		return nil, fmt.Errorf("%s of %d bytes: %w", what, size, explain(err))
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return fail("ftruncate", err)
	}
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fail("mmap", err)
	}
	add := seals | unix.F_SEAL_SEAL
	if readOnly {
		add |= unix.F_SEAL_FUTURE_WRITE
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, add); err != nil {
		unix.Munmap(mem)
		return fail("sealing a memfd", err)
	}
	return &segment{mem: mem, file: transport.NewFile(fd)}, nil
}

// mapSegment maps a peer's segment of size bytes. The descriptor is closed in
// any case.
func mapSegment(fd, size int, writable bool) (*segment, error) {
	defer unix.Close(fd)
	have, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || have&seals != seals {
		return nil, fmt.Errorf("%w: the peer's memory is not a sealed memfd: it could shrink under us", transport.ErrInvalid)
	}
	// A file of huge pages, for example, could have holes, where access is
	// fatal.
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return nil, err
	}
	if fs.Type != unix.TMPFS_MAGIC {
		return nil, fmt.Errorf("%w: the peer's memory is of another kind than this package makes (its file system is %#x)", transport.ErrInvalid, fs.Type)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if size <= 0 || int64(size) > st.Size {
		return nil, fmt.Errorf("%w: the peer's memory has %d bytes, it announced %d", transport.ErrInvalid, st.Size, size)
	}
	prot := unix.PROT_READ
	if writable {
		prot |= unix.PROT_WRITE
	}
	mem, err := unix.Mmap(fd, 0, size, prot, unix.MAP_SHARED)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w: the peer's memory cannot be written, and it announced that it can: %w", transport.ErrInvalid, err)
	} else if err != nil {
		return nil, fmt.Errorf("mapping %d bytes of the peer's: %w", size, explain(err))
	}
	return &segment{mem: mem}, nil
}

func (s *segment) close() error {
	err := unix.Munmap(s.mem)
	s.mem = nil
	if s.file != nil {
		s.file.Release()
	}
	return err
}

// explain adds to a system error what usually helps.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%w: each region and each connection holds open files; raise the limit (ulimit -n)", err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("%w: not enough memory or address space, or more than vm.max_map_count mappings", err)
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w: this kernel has no sealed memory files (Linux 5.1 or newer has)", err)
	}
	return err
}
