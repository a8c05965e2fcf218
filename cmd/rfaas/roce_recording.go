package main

import (
	"bufio"
	"cmp"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// recording writes the packets that engines send and receive as a capture. An
// engine waits until a packet is copied, but not until it is written: packets
// that find no room any more are dropped and counted.
type recording struct {
	limit   int64 // bytes of the capture at most
	snap    int   // bytes of a packet at most
	onLimit func()
	wake    chan struct{} // the batch is half full, or there is something to be told
	written chan struct{} // closed when the writer has ended
	writer  recordWriter

	mu      sync.Mutex
	engines int
	batch   *batch
	tally   tally
	state   recordingState
}

// tally counts packets, and the bytes of the capture.
type tally struct {
	packets, dropped, beyond int // beyond: after the limit was reached
	bytes                    int64
}

// recordingState is what becomes of packets.
type recordingState int

const (
	recordingOn recordingState = iota
	recordingFull
	recordingFailed
	recordingEnded
)

// batch is packets that are to be written. Their datagrams are in bytes.
type batch struct {
	packets []softroce.Captured
	bytes   []byte
}

// batchRoom is what a batch has room for.
type batchRoom struct{ packets, bytes int }

// enoughRoom is, of the smallest packets, for what two cores exchange in some tens
// of milliseconds, and of large ones in a few.
var enoughRoom = batchRoom{packets: 1 << 16, bytes: 32 << 20}

func (n batchRoom) batch() *batch {
	return &batch{make([]softroce.Captured, 0, n.packets), make([]byte, 0, n.bytes)}
}

// What pcap puts before all packets, and before each.
const (
	pcapHeaderBytes       = 24
	pcapPacketHeaderBytes = 16
)

// record begins a recording into w, which end ends. The limit includes all that
// is written; onLimit is called, once and by another goroutine, when it is reached.
// There are two batches: one is filled while the other is written.
func record(w io.Writer, limit int64, snap int, onLimit func(), room batchRoom) *recording {
	r := &recording{
		limit: limit, snap: snap, onLimit: onLimit,
		wake: make(chan struct{}, 1), written: make(chan struct{}),
		batch: room.batch(), tally: tally{bytes: pcapHeaderBytes},
		writer: recordWriter{snap: snap, out: bufio.NewWriterSize(w, 64<<10), ports: map[uint16]struct{}{}},
	}
	go r.write(room.batch())
	return r
}

// observe taps an engine.
func (r *recording) observe(a *softroce.Adapter) {
	r.mu.Lock()
	r.engines++
	r.mu.Unlock()
	a.Tap(r.tap)
}

// tap takes a packet; an engine waits for it.
func (r *recording) tap(c softroce.Captured) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.batch
	n := int64(pcapPacketHeaderBytes + min(packetBytes(&c), r.snap))
	switch {
	case r.state == recordingFull:
		r.tally.beyond++
		return
	case r.state != recordingOn:
		return
	case r.tally.bytes+n > r.limit:
		r.state = recordingFull
		r.tally.beyond++
		r.rouse()
		return
	case len(b.packets) == cap(b.packets), len(b.bytes)+len(c.Datagram) > cap(b.bytes):
		r.tally.dropped++
		return
	}
	at := len(b.bytes)
	b.bytes = append(b.bytes, c.Datagram...)
	c.Datagram = b.bytes[at:]
	b.packets = append(b.packets, c)
	r.tally.packets++
	r.tally.bytes += n
	// Not for every packet: waking costs more than copying.
	if len(b.packets) >= cap(b.packets)/2 || len(b.bytes) >= cap(b.bytes)/2 {
		r.rouse()
	}
}

// packetBytes is the length of the IP packet.
func packetBytes(c *softroce.Captured) int {
	const ipv4Bytes, ipv6Bytes, udpBytes = 20, 40, 8
	if c.Source.Addr().Unmap().Is4() {
		return ipv4Bytes + udpBytes + len(c.Datagram)
	}
	return ipv6Bytes + udpBytes + len(c.Datagram)
}

// rouse wakes the writer.
func (r *recording) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// write writes batches until wake is closed, and then the last one. spare is the
// one that is not being filled.
func (r *recording) write(spare *batch) {
	defer close(r.written)
	r.writer.begin()
	told := false
	for more := true; more; {
		_, more = <-r.wake
		r.mu.Lock()
		b := r.batch
		r.batch = spare
		full := r.state == recordingFull
		r.mu.Unlock()
		if full && !told {
			told = true
			r.onLimit()
		}
		r.writer.packets(b.packets)
		if r.writer.err != nil {
			r.mu.Lock()
			r.state = max(r.state, recordingFailed)
			r.mu.Unlock()
		}
		b.packets, b.bytes = b.packets[:0], b.bytes[:0]
		spare = b
	}
	r.writer.end()
}

// end ends the recording when all of it is written. What engines show it after
// that is ignored. ports are the UDP ports other than RoCE's that packets went to.
func (r *recording) end() (engines int, t tally, ports []uint16, err error) {
	r.mu.Lock()
	r.state = recordingEnded
	engines, t = r.engines, r.tally
	r.mu.Unlock()
	close(r.wake) // nothing rouses the writer any more
	<-r.written
	return engines, t, slices.Sorted(maps.Keys(r.writer.ports)), r.writer.err
}

// recordWriter writes packets, up to the first error.
type recordWriter struct {
	snap  int
	out   *bufio.Writer
	pcap  *pcapgo.Writer
	ip    []byte
	ports map[uint16]struct{}
	err   error
}

func (w *recordWriter) begin() {
	w.pcap = pcapgo.NewWriterNanos(w.out)
	w.err = w.pcap.WriteFileHeader(uint32(w.snap), layers.LinkTypeRaw)
}

func (w *recordWriter) packets(packets []softroce.Captured) {
	for i := range packets {
		if w.err != nil {
			return
		}
		w.packet(&packets[i])
	}
}

func (w *recordWriter) packet(c *softroce.Captured) {
	if port := c.Destination.Port(); port != wire.Port {
		w.ports[port] = struct{}{}
	}
	w.ip = wire.Frame{Src: c.Source, Dst: c.Destination, ID: c.ID, Datagram: c.Datagram}.AppendIP(w.ip[:0])
	kept := w.ip[:min(len(w.ip), w.snap)]
	err := w.pcap.WritePacket(gopacket.CaptureInfo{Timestamp: c.Time, CaptureLength: len(kept), Length: len(w.ip)}, kept)
	if err != nil {
		w.err = cmp.Or(w.out.Flush(), err) // the first without what pcapgo says around it
	}
}

func (w *recordWriter) end() {
	if w.err == nil {
		w.err = w.out.Flush()
	}
}
