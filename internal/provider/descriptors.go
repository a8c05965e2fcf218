package provider

import "golang.org/x/sys/unix"

// CloseDescriptors closes unexpected descriptors of a peer. -1 means none.
func CloseDescriptors(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
