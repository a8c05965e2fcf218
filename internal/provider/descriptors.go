package provider

import "golang.org/x/sys/unix"

// CloseDescriptors closes what a peer sent and nobody asked for.
func CloseDescriptors(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
