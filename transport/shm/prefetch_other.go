//go:build !amd64

package shm

// prefetch does nothing where it has not been measured.
func prefetch(uint64) {}
