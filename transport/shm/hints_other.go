//go:build !amd64

package shm

// The hints do nothing where they have not been measured.
func prefetch(uint64) {}

func prefetchToWrite(uint64) {}

func demote(uint64) {}

func pause() {}
