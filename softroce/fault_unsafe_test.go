package softroce_test

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

const (
	faultyBytes = 64 << 10
	soundBytes  = faultyBytes / 2 // of memory that was truncated: they remain
)

// faultyRegions counts the mappings of faulty, each of which has an address that
// nothing else in the process comes to use when it is unmapped.
var faultyRegions atomic.Uintptr

// taken is a way in which memory is taken away under a region.
type taken struct {
	name       string
	readOnly   bool // it can still be read
	ofFile     bool
	takeItAway func(mem []byte, file *os.File) error
}

var takenAways = []taken{
	{name: "truncated file", ofFile: true, takeItAway: func(_ []byte, f *os.File) error { return f.Truncate(soundBytes) }},
	{name: "read-only", readOnly: true, takeItAway: func(mem []byte, _ *os.File) error { return unix.Mprotect(mem, unix.PROT_READ) }},
	{name: "unmapped", takeItAway: func(mem []byte, _ *os.File) error {
		return unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(mem)), faultyBytes)
	}},
}

// faulty is a region of e whose memory is then taken away.
func (w taken) faulty(t *testing.T, e *pairtest.End) *transport.Region {
	t.Helper()
	flags, fd, file := unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, -1, (*os.File)(nil)
	if w.ofFile {
		var err error
		file, err = os.Create(filepath.Join(t.TempDir(), "file"))
		require.NoError(t, err)
		defer file.Close()
		require.NoError(t, file.Truncate(faultyBytes))
		flags, fd = unix.MAP_SHARED, int(file.Fd())
	}
	const apart, lowest = 1 << 20, 64 << 30
	address := lowest + faultyRegions.Add(1)*apart
	p, err := unix.MmapPtr(fd, 0, unsafe.Add(nil, address), faultyBytes, unix.PROT_READ|unix.PROT_WRITE, flags|unix.MAP_FIXED_NOREPLACE)
	require.NoError(t, err)
	mem := unsafe.Slice((*byte)(p), faultyBytes)
	region, err := e.PD.Register(mem, transport.RemoteAll)
	require.NoError(t, err)
	require.NoError(t, w.takeItAway(mem, file))
	return region
}

// Memory that was taken away under a region fails the request that runs into it,
// at the end whose memory it is by its own words; the process lives, and so do
// other connections of the two devices.
func TestMemoryTakenAway(t *testing.T) {
	t.Parallel()
	type request struct {
		name    string
		reads   bool // the faulty memory, only
		own     bool // the memory is the requester's
		receive transport.Status
		make    func(sound, other, faulty *transport.Region, at, n int) transport.WorkRequest
	}
	requests := []request{
		{"write", false, false, transport.StatusFlushed, func(own, _, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.Write(2, own.Span(at, n), f.Remote(at, n))
		}},
		{"write-imm", false, false, transport.StatusLocalProtection, func(own, _, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.WriteImm(2, own.Span(at, n), f.Remote(at, n), 7)
		}},
		{"read", true, false, transport.StatusFlushed, func(own, _, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.Read(2, own.Span(at, n), f.Remote(at, n))
		}},
		{"fetch-add", false, false, transport.StatusFlushed, func(own, _, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.FetchAdd(2, own.Span(at, 8), f.Remote(at+n-8, 8), 1)
		}},
		{"compare-swap", false, false, transport.StatusFlushed, func(own, _, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.CompareSwap(2, own.Span(at, 8), f.Remote(at+n-8, 8), 0, 1)
		}},
		{"send into it", false, false, transport.StatusLocalProtection, func(own, _, _ *transport.Region, at, n int) transport.WorkRequest {
			return transport.Send(2, own.Span(at, n))
		}},
		{"send of it", true, true, transport.StatusFlushed, func(_, _, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.Send(2, f.Span(at, n))
		}},
		{"write of it", true, true, transport.StatusFlushed, func(_, other, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.Write(2, f.Span(at, n), other.Remote(at, n))
		}},
		{"write of it in two pieces", true, true, transport.StatusFlushed, func(own, other, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.Write(2, own.Span(0, 3), other.Remote(at, n)).WithSecondSpan(f.Span(at+3, n-3))
		}},
		{"inline write of it", true, true, transport.StatusFlushed, func(_, other, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.Write(2, f.Span(at+n-8, 8), other.Remote(at, n)).With(transport.Inline)
		}},
		{"read into it", false, true, transport.StatusFlushed, func(_, other, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.Read(2, f.Span(at, n), other.Remote(at, n))
		}},
		{"fetch-add into it", false, true, transport.StatusFlushed, func(_, other, f *transport.Region, at, n int) transport.WorkRequest {
			return transport.FetchAdd(2, f.Span(at+n-8, 8), other.Remote(at, 8), 1)
		}},
	}
	for _, url := range []string{"softroce:", "loopback:"} {
		for _, way := range takenAways {
			if way.readOnly && effort.Race() {
				continue // the detector carries atomics out in C, where a fault ends the process
			}
			for _, r := range requests {
				for size, n := range map[string]int{"word": 8, "many packets": faultyBytes/2 + 8} {
					if way.readOnly && r.reads {
						continue
					}
					t.Run(url+way.name+"/"+r.name+"/"+size, func(t *testing.T) {
						t.Parallel()
						a, b := pairtest.New(t, url)
						owner, peer, want := b, a, transport.StatusRemoteOperation
						if r.own {
							owner, peer, want = a, b, transport.StatusLocalProtection
						}
						own, other, faulty := a.Alloc(faultyBytes, transport.RemoteAll), b.Alloc(faultyBytes, transport.RemoteAll), way.faulty(t, owner)
						at := soundBytes
						if n > 8 { // the first packets are sound, where it is not all gone
							at = soundBytes - n/2&^7
						}
						into := other.Span(0, faultyBytes)
						if r.name == "send into it" {
							into = faulty.Span(at, n)
						}
						b.Recv(transport.Recv(10, into))
						a.Post(transport.Write(1, own.Span(0, 100), other.Remote(0, 100)).With(transport.Signaled),
							r.make(own, other, faulty, at, n), // unsignaled
							transport.Write(3, own.Span(0, 100), other.Remote(0, 100)))
						got := a.Take(3)
						require.Equal(t, []uint64{1, 2, 3}, pairtest.IDs(got))
						require.Equal(t, []transport.Status{transport.StatusOK, want, transport.StatusFlushed},
							[]transport.Status{got[0].Status, got[1].Status, got[2].Status})
						receive := r.receive
						if r.name == "write-imm" && n > 8 && url == "softroce:" {
							receive = transport.StatusFlushed // it is the last packet that takes it
						}
						require.Equal(t, receive, b.Take(1)[0].Status)
						require.ErrorContains(t, owner.Ended(), "not mapped")
						require.Error(t, peer.Ended())

						// The devices are as good as before.
						a.Conn, b.Conn = pairtest.Connect(t, a, b, a.Config(), b.Config())
						own.Bytes()[0] = 99
						a.Post(transport.Write(4, own.Span(0, 100), other.Remote(0, 100)).With(transport.Signaled))
						require.Equal(t, transport.StatusOK, a.Take(1)[0].Status)
						require.EqualValues(t, 99, other.Bytes()[0])
					})
				}
			}
		}
	}
}

// Memory that is not as its access needs it is refused.
func TestRegisterNeedsRights(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"softroce:", "loopback:"} {
		e := pairtest.NewEnd(t, url)
		mem, err := unix.Mmap(-1, 0, faultyBytes, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		require.NoError(t, err)
		for _, access := range []transport.Access{transport.RemoteWrite, transport.RemoteAtomic, transport.RemoteAll} {
			_, err = e.PD.Register(mem, access)
			require.ErrorIs(t, err, transport.ErrInvalid)
			require.ErrorContains(t, err, "not writable (r--p), and access "+access.String()+" needs that")
		}
		for _, access := range []transport.Access{transport.LocalOnly, transport.RemoteRead} {
			r, err := e.PD.Register(mem, access)
			require.NoError(t, err)
			require.NoError(t, r.Close())
		}
		// One page in the middle is enough.
		require.NoError(t, unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE))
		r, err := e.PD.Register(mem, transport.RemoteAll)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.NoError(t, unix.Mprotect(mem[faultyBytes/2:][:os.Getpagesize()], unix.PROT_NONE))
		_, err = e.PD.Register(mem, transport.LocalOnly)
		require.ErrorContains(t, err, "not readable (---p)")
		require.NoError(t, unix.Munmap(mem))
	}
}
