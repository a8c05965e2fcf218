package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// recorded is a packet of a capture.
type recorded struct {
	info   gopacket.CaptureInfo
	ip     []byte
	frame  wire.Frame
	packet wire.Packet
}

// readRecording reads a capture of raw IP packets, all of which are there as a
// whole, with nanoseconds, and ICRCs that hold.
func readRecording(t *testing.T, capture []byte) (packets []recorded) {
	t.Helper()
	require.Equal(t, uint32(0xa1b23c4d), binary.LittleEndian.Uint32(capture), "with nanoseconds")
	r, err := pcapgo.NewReader(bytes.NewReader(capture))
	require.NoError(t, err)
	require.Equal(t, layers.LinkTypeRaw, r.LinkType())
	for {
		ip, info, err := r.ReadPacketData()
		if err == io.EOF {
			return packets
		}
		require.NoError(t, err)
		p := recorded{info: info, ip: ip}
		require.Equal(t, info.Length, info.CaptureLength)
		p.frame, err = wire.ParseIP(ip)
		require.NoError(t, err)
		require.True(t, wire.CheckIP(ip), "ICRC of packet %d", len(packets))
		require.NoError(t, p.packet.Decode(p.frame.Datagram))
		packets = append(packets, p)
	}
}

// sample is a packet that a tap is shown.
func sample(psn uint32, payload int) softroce.Captured {
	flow := wire.NewFlow(roceClient, roceServer)
	p := wire.Packet{Opcode: wire.SendOnly, PKey: wire.DefaultPKey, PSN: psn, Payload: [2][]byte{make([]byte, payload)}}
	return softroce.Captured{Time: someTime, Sent: true, Source: roceClient, Destination: roceServer, ID: 7, Datagram: p.AppendTo(nil, &flow, 7)}
}

var (
	roceClient = netip.MustParseAddrPort("10.0.0.1:50000")
	roceServer = netip.MustParseAddrPort("10.0.0.2:4791")
	someTime   = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
)

const (
	sampleHeader = 20 + 8 + 12 + 4 // IP, UDP, BTH, ICRC
	noLimit      = math.MaxInt64
)

func never() { panic("there is no limit") }

func TestRecording(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	r := record(&b, noLimit, maxSnapBytes, never, enoughRoom)
	const engines, each = 3, 2000
	var wg sync.WaitGroup
	for engine := range uint32(engines) {
		wg.Go(func() {
			for i := range uint32(each) {
				c := sample(engine<<16|i, int(i%50))
				c.Time = someTime.Add(time.Duration(i))
				r.tap(c)
				clear(c.Datagram) // not to be kept
			}
		})
	}
	wg.Wait()
	_, counts, ports, err := r.end()
	require.NoError(t, err)
	require.Equal(t, tally{packets: engines * each, bytes: int64(b.Len())}, counts)
	require.Empty(t, ports)
	r.tap(sample(0, 0)) // too late, and no harm
	var next [engines]uint32
	for _, p := range readRecording(t, b.Bytes()) {
		engine, i := p.packet.PSN>>16, p.packet.PSN&0xffff
		require.Equal(t, next[engine], i)
		next[engine]++
		require.Equal(t, roceClient, p.frame.Src)
		require.Equal(t, roceServer, p.frame.Dst)
		require.Equal(t, uint16(7), p.frame.ID)
		require.Equal(t, int(i%50), p.packet.PayloadBytes())
		require.True(t, someTime.Add(time.Duration(i)).Equal(p.info.Timestamp), "to the nanosecond")
	}
	require.Equal(t, [engines]uint32{each, each, each}, next)
}

func TestRecordingNothing(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	engines, counts, _, err := record(&b, noLimit, maxSnapBytes, never, enoughRoom).end()
	require.NoError(t, err)
	require.Zero(t, engines)
	require.Equal(t, tally{bytes: pcapHeaderBytes}, counts)
	require.Len(t, b.Bytes(), pcapHeaderBytes)
	require.Empty(t, readRecording(t, b.Bytes()))
}

// The limit is that of the file, to the byte; the first packet beyond it is the
// end, even if a shorter one would fit. A caller that waits learns it at once.
func TestRecordingLimit(t *testing.T) {
	t.Parallel()
	const each = pcapPacketHeaderBytes + sampleHeader + 8
	for _, c := range []struct {
		limit   int64
		packets int
	}{{pcapHeaderBytes, 0}, {pcapHeaderBytes + 3*each - 1, 2}, {pcapHeaderBytes + 3*each, 3}, {pcapHeaderBytes + 4*each - 1, 3}} {
		var b bytes.Buffer
		reached := make(chan struct{})
		r := record(&b, c.limit, maxSnapBytes, func() { close(reached) }, enoughRoom)
		for i := range uint32(4) {
			r.tap(sample(i, 8))
		}
		r.tap(sample(4, 0))
		<-reached
		_, counts, _, err := r.end()
		require.NoError(t, err)
		require.Equal(t, tally{packets: c.packets, beyond: 5 - c.packets, bytes: int64(b.Len())}, counts)
		require.LessOrEqual(t, int64(b.Len()), c.limit)
		require.Len(t, readRecording(t, b.Bytes()), c.packets)
	}
}

// Packets are cut off, as far as they are longer; lengths and limits follow.
func TestRecordingSnap(t *testing.T) {
	t.Parallel()
	six := netip.MustParseAddrPort("[fe80::1]:4791")
	for _, c := range []struct {
		source      netip.AddrPort
		destination netip.AddrPort
		header      int
	}{{roceClient, roceServer, sampleHeader}, {six, six, sampleHeader + 20}} {
		var b bytes.Buffer
		const snap = 72
		limit := int64(pcapHeaderBytes + 3*pcapPacketHeaderBytes + c.header + 2*snap)
		reached := make(chan struct{})
		r := record(&b, limit, snap, func() { close(reached) }, enoughRoom)
		for _, payload := range []int{0, snap - c.header, 1000, 0} {
			p := sample(uint32(payload), payload)
			p.Source, p.Destination = c.source, c.destination
			r.tap(p)
		}
		<-reached
		_, counts, _, err := r.end()
		require.NoError(t, err)
		require.Equal(t, tally{packets: 3, beyond: 1, bytes: limit}, counts)
		require.Equal(t, limit, int64(b.Len()))

		pcap, err := pcapgo.NewReader(bytes.NewReader(b.Bytes()))
		require.NoError(t, err)
		require.Equal(t, uint32(snap), pcap.Snaplen())
		for _, want := range [][2]int{{c.header, c.header}, {snap, snap}, {c.header + 1000, snap}} {
			data, info, err := pcap.ReadPacketData()
			require.NoError(t, err)
			require.Equal(t, want, [2]int{info.Length, info.CaptureLength})
			require.Len(t, data, want[1])
		}
	}
}

// slowDisk blocks writes until it is ready.
type slowDisk struct {
	bytes.Buffer
	ready chan struct{}
}

func (d *slowDisk) Write(b []byte) (int, error) {
	<-d.ready
	return d.Buffer.Write(b)
}

// While the disk hangs, engines do not wait for it: what there is no room for is
// dropped, be it too many packets or too many bytes, and the rest is written
// later.
func TestRecordingSlowDisk(t *testing.T) {
	t.Parallel()
	for _, payload := range []int{0, 2000} {
		room := batchRoom{packets: 4000, bytes: 1 << 20}
		disk := &slowDisk{ready: make(chan struct{})}
		r := record(disk, noLimit, maxSnapBytes, never, room)
		c := sample(0, payload)
		fit := min(room.packets, room.bytes/len(c.Datagram)) // in each of two, and some in the writer's buffer
		for range 3 * fit {
			r.tap(c)
		}
		close(disk.ready)
		_, counts, _, err := r.end()
		require.NoError(t, err)
		require.Greater(t, counts.dropped, fit/2)
		require.GreaterOrEqual(t, counts.packets, fit)
		require.Equal(t, tally{packets: 3*fit - counts.dropped, dropped: counts.dropped, bytes: int64(disk.Len())}, counts)
		require.Len(t, readRecording(t, disk.Bytes()), counts.packets)
	}
}

// spin is eventually for what happens at once.
func spin(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); runtime.Gosched() {
		require.True(t, time.Now().Before(deadline), "it does not happen")
	}
}

// While packets come at a pace that the writer can follow, none is dropped, and
// each is written once, in order.
func TestRecordingManyBatches(t *testing.T) {
	t.Parallel()
	for _, room := range []batchRoom{{packets: 10, bytes: 1 << 20}, {packets: 1 << 10, bytes: 1000}} {
		var b bytes.Buffer
		r := record(&b, noLimit, maxSnapBytes, never, room)
		const many = 1000
		for psn := range uint32(many) {
			c := sample(psn, 100)
			spin(t, func() bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return len(r.batch.packets) < room.packets && len(r.batch.bytes)+len(c.Datagram) <= room.bytes
			})
			r.tap(c)
		}
		_, counts, _, err := r.end()
		require.NoError(t, err)
		require.Equal(t, tally{packets: many, bytes: int64(b.Len())}, counts)
		for i, p := range readRecording(t, b.Bytes()) {
			require.Equal(t, uint32(i), p.packet.PSN)
		}
	}
}

// fullDisk has room for so many bytes.
type fullDisk int

var errFull = errors.New("full")

func (d *fullDisk) Write(b []byte) (int, error) {
	if len(b) > int(*d) {
		return 0, errFull
	}
	*d -= fullDisk(len(b))
	return len(b), nil
}

// A full disk is the end of the recording, and an error of it, also if it is only
// noticed at the end.
func TestRecordingFullDisk(t *testing.T) {
	t.Parallel()
	for _, disk := range []fullDisk{0, 100} {
		r := record(&disk, noLimit, maxSnapBytes, never, enoughRoom)
		r.tap(sample(0, 100))
		_, _, _, err := r.end()
		require.ErrorIs(t, err, errFull)
	}

	var disk fullDisk
	r := record(&disk, noLimit, maxSnapBytes, never, batchRoom{packets: 1000, bytes: 1 << 20})
	c := sample(0, 4000)
	spin(t, func() bool { // it is noticed soon, as the writer's buffer is smaller
		r.tap(c)
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.state == recordingFailed
	})
	r.mu.Lock()
	kept := r.tally
	r.mu.Unlock()
	r.tap(c)
	_, counts, _, err := r.end()
	require.ErrorIs(t, err, errFull)
	require.Equal(t, kept, counts, "nothing more is kept")
}

func TestRecordingPorts(t *testing.T) {
	t.Parallel()
	r := record(io.Discard, noLimit, maxSnapBytes, never, enoughRoom)
	for _, port := range []uint16{6000, wire.Port, 5000, 6000} {
		c := sample(0, 0)
		c.Destination = netip.AddrPortFrom(c.Destination.Addr(), port)
		r.tap(c)
	}
	_, _, ports, err := r.end()
	require.NoError(t, err)
	require.Equal(t, []uint16{5000, 6000}, ports)
}

// The engine waits for the tap.
func TestRecordingDoesNotAllocate(t *testing.T) {
	r := record(io.Discard, noLimit, maxSnapBytes, never, enoughRoom)
	c := sample(0, 100)
	require.Zero(t, testing.AllocsPerRun(1000, func() { r.tap(c) }))
	_, _, _, err := r.end()
	require.NoError(t, err)
}
