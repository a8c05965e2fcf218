package transport

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// File is a descriptor that many messages to peers may share. It is closed when the
// last hold is released. For providers. Any goroutine may use it.
type File struct {
	fd   int
	uses atomic.Int32
}

// NewFile makes a File of a descriptor, which belongs to it from then on. The caller
// holds it.
func NewFile(fd int) *File {
	f := &File{fd: fd}
	f.uses.Store(1)
	return f
}

// FD is the descriptor, for as long as the caller holds the file.
func (f *File) FD() int { return f.fd }

// Hold adds a hold. The caller must have one already.
func (f *File) Hold() *File {
	f.uses.Add(1)
	return f
}

// Release ends one hold.
func (f *File) Release() {
	if f.uses.Add(-1) == 0 {
		unix.Close(f.fd)
	}
}
