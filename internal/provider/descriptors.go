package provider

import "golang.org/x/sys/unix"

// CloseDescriptors closes what a peer sent and nobody asked for. -1 stands for none.
func CloseDescriptors(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
