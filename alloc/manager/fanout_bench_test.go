package manager

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// audience is many watchers of one manager, in one goroutine that counts what
// arrives, and the server's ends of their sockets.
type audience struct {
	manager *Manager
	epoll   int
	servers []int // descriptors of the server's ends
	conns   []net.Conn
	buf     []byte
}

// raiseLimit raises the number of descriptors to the hard limit, and returns it.
func raiseLimit(b *testing.B) int {
	var limit syscall.Rlimit
	require.NoError(b, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = limit.Max
	require.NoError(b, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	return int(min(limit.Cur, math.MaxInt32))
}

func descriptor(b *testing.B, c net.Conn) (fd int) {
	raw := must(c.(syscall.Conn).SyscallConn())
	require.NoError(b, raw.Control(func(p uintptr) { fd = int(p) }))
	return fd
}

func gather(b *testing.B, network string, count int) *audience {
	m := newManager(Config{Life: 1})
	m.heartbeat = time.Hour // only the changes are counted
	m.registry.revision, m.sent = 1e9, 1e9
	go m.attend()
	b.Cleanup(func() { m.Close() })

	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(b.TempDir(), "s")
	}
	listener := must(net.Listen(network, address))
	a := &audience{manager: m, buf: make([]byte, 64<<10)}
	var mu sync.Mutex
	server := httptest.NewUnstartedServer(m)
	server.Listener.Close()
	server.Listener = listener
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		mu.Lock()
		defer mu.Unlock()
		a.servers = append(a.servers, descriptor(b, c))
		return ctx
	}
	server.Start()
	b.Cleanup(server.Close)

	a.epoll = must(syscall.EpollCreate1(0))
	b.Cleanup(func() { syscall.Close(a.epoll) })
	for range count {
		a.join(b, listener.Addr())
	}
	mu.Lock()
	require.Len(b, a.servers, count)
	mu.Unlock()
	return a
}

// join adds a watcher, which has read the head of its answer.
func (a *audience) join(b *testing.B, addr net.Addr) {
	c := must(net.Dial(addr.Network(), addr.String()))
	b.Cleanup(func() { c.Close() })
	must(fmt.Fprintf(c, "GET /v1/watch?life=%s&revision=%d HTTP/1.1\r\nHost: m\r\n\r\n", formatLife(1), uint64(1e9)))
	head := ""
	for !strings.HasSuffix(head, "}\n\r\n") {
		n := must(c.Read(a.buf))
		head += string(a.buf[:n])
	}
	fd := descriptor(b, c)
	require.NoError(b, syscall.EpollCtl(a.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}))
	a.conns = append(a.conns, c)
}

// receive returns when the watchers have got so many bytes between them.
func (a *audience) receive(total int) error {
	events := make([]syscall.EpollEvent, 512)
	for total > 0 {
		n, err := syscall.EpollWait(a.epoll, events, -1)
		if err == syscall.EINTR {
			continue
		} else if err != nil {
			return err
		}
		for _, e := range events[:n] {
			got, err := syscall.Read(int(e.Fd), a.buf)
			if err != nil || got == 0 {
				return fmt.Errorf("read: %d, %w", got, err)
			}
			total -= got
		}
	}
	return nil
}

// chunk is what a change's line is on the stream.
func chunk(line []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(line), line) }

// BenchmarkFanOut measures how long it takes until all watchers have got a change,
// beside a loop of system calls that writes the same bytes to the same sockets, in
// turns. ns/op is of both together.
func BenchmarkFanOut(b *testing.B) {
	for _, network := range []string{"unix", "tcp"} {
		b.Run(network, func(b *testing.B) {
			count := min(5000, (raiseLimit(b)-100)/2)
			a := gather(b, network, count)
			n := testNode("a", 1)
			must(a.manager.register(n))
			line := chunk(a.manager.registry.log[0].line)
			require.NoError(b, a.receive(count*len(line)))
			line = chunk(bytes.Replace(a.manager.registry.log[0].line, []byte("added"), []byte("changed"), 1))

			measure := func(send func()) time.Duration {
				done := make(chan error, 1)
				go func() { done <- a.receive(count * len(line)) }()
				start := time.Now()
				send()
				require.NoError(b, <-done)
				return time.Since(start)
			}
			var raw, fanOut []time.Duration
			for b.Loop() {
				raw = append(raw, measure(func() {
					for _, fd := range a.servers {
						if n, err := syscall.Write(fd, line); n != len(line) {
							b.Fatal(n, err)
						}
					}
				}))
				fanOut = append(fanOut, measure(func() {
					n.FreeCores = 3 - n.FreeCores // 2, 1, 2, ...
					must(a.manager.register(n))
				}))
			}
			slices.Sort(raw)
			slices.Sort(fanOut)
			half := len(raw) / 2
			b.ReportMetric(float64(count), "watchers")
			b.ReportMetric(float64(raw[half])/1e6, "raw-ms")
			b.ReportMetric(float64(fanOut[half])/1e6, "fanout-ms")
			b.ReportMetric(float64(fanOut[half])/float64(raw[half]), "ratio")
		})
	}
}
