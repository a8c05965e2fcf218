package executor

import (
	"io"
	"net"
	"sync"
)

// relay copies between two streams until either ends, and closes both. TLS ends there:
// what the set-up stream of a client carries is copied to the executor, which has no
// part in the encryption.
func relay(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			a.Close()
			b.Close()
		})
	}
	both.Wait()
}
