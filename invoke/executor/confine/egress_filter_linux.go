//go:build amd64 || arm64

package confine

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// destination is where a packet goes, as a key of the filter's map: the address (IPv4 as
// ::ffff:a.b.c.d), two zeros and the UDP port, in network byte order.
type destination [20]byte

func destinationOf(a netip.AddrPort) (d destination) {
	address := a.Addr().As16()
	copy(d[:], address[:])
	binary.BigEndian.PutUint16(d[18:], a.Port())
	return d
}

// instruction is one of the kernel's BPF machine: struct bpf_insn.
type instruction struct {
	code      uint8
	registers uint8 // destination, and source << 4
	offset    int16
	value     int32
}

// Offsets in struct __sk_buff and struct bpf_sock.
const (
	skbProtocol = 16
	skbSocket   = 168
	socketType  = 8
)

// Helper functions of the kernel.
const (
	mapLookup  = 1
	loadBytes  = 26
	fullSocket = 95
)

// EtherTypes as in packets' metadata: big-endian.
const (
	protocolIPv4 = 0x0008
	protocolIPv6 = 0xdd86
)

// assembleEgress makes the filter. It inspects each packet below UDP, after raw sockets,
// options and segmentation have had their effect. It passes UDP datagrams of datagram sockets
// to the destinations in the map. A burst for segmentation offload is still one packet here.
//
// Packets with options or extension headers are refused, since they can go elsewhere first.
// So are fragments, which have no port. Large datagrams are not fragmented yet.
func assembleEgress(peers int) []instruction {
	const (
		context = 6   // register of the context
		frame   = 10  // register of the end of the stack
		key     = -24 // in the stack: the destination
		header  = -48 // in the stack: IPv4's 20 bytes and UDP's ports
		refuse  = "refuse"
		ipv4    = "ipv4"
		look    = "look"
	)
	var program []instruction
	jumps, labels := map[int]string{}, map[string]int{}
	add := func(code, to, from uint8, offset int, value int32) {
		program = append(program, instruction{code, to | from<<4, int16(offset), value})
	}
	set := func(register uint8, value int32) {
		add(unix.BPF_ALU64|unix.BPF_MOV|unix.BPF_K, register, 0, 0, value)
	}
	move := func(to, from uint8) { add(unix.BPF_ALU64|unix.BPF_MOV|unix.BPF_X, to, from, 0, 0) }
	stack := func(register uint8, offset int32) {
		move(register, frame)
		add(unix.BPF_ALU64|unix.BPF_ADD|unix.BPF_K, register, 0, 0, offset)
	}
	load := func(size, to, from uint8, offset int) { add(unix.BPF_LDX|unix.BPF_MEM|size, to, from, offset, 0) }
	zero := func(size uint8, offset int) { add(unix.BPF_ST|unix.BPF_MEM|size, frame, 0, offset, 0) }
	jump := func(test, register uint8, value int32, label string) {
		jumps[len(program)] = label
		add(unix.BPF_JMP|test|unix.BPF_K, register, 0, 0, value)
	}
	label := func(name string) { labels[name] = len(program) }
	call := func(function int32) { add(unix.BPF_JMP|unix.BPF_CALL, 0, 0, 0, function) }
	read := func(from, into, bytes int32) { // of the packet
		move(1, context)
		set(2, from)
		stack(3, into)
		set(4, bytes)
		call(loadBytes)
		jump(unix.BPF_JNE, 0, 0, refuse)
	}
	end := func(value int32) {
		set(0, value)
		add(unix.BPF_JMP|unix.BPF_EXIT, 0, 0, 0, 0)
	}

	move(context, 1)
	load(unix.BPF_DW, 1, context, skbSocket)
	jump(unix.BPF_JEQ, 1, 0, refuse)
	call(fullSocket)
	jump(unix.BPF_JEQ, 0, 0, refuse)
	load(unix.BPF_W, 0, 0, socketType)
	jump(unix.BPF_JNE, 0, unix.SOCK_DGRAM, refuse) // a raw socket can forge its source
	load(unix.BPF_W, 0, context, skbProtocol)
	jump(unix.BPF_JEQ, 0, protocolIPv4, ipv4)
	jump(unix.BPF_JNE, 0, protocolIPv6, refuse)

	read(6, header, 1) // the next header
	load(unix.BPF_B, 0, frame, header)
	jump(unix.BPF_JNE, 0, unix.IPPROTO_UDP, refuse)
	read(24, key, 20) // the destination's address, and UDP's ports
	zero(unix.BPF_H, key+16)
	jump(unix.BPF_JA, 0, 0, look)

	label(ipv4)
	read(0, header, 24)
	load(unix.BPF_B, 0, frame, header)
	jump(unix.BPF_JNE, 0, 0x45, refuse) // version, and no options
	load(unix.BPF_H, 0, frame, header+6)
	add(unix.BPF_ALU64|unix.BPF_AND|unix.BPF_K, 0, 0, 0, 0xff3f) // big-endian: more fragments, or not the first
	jump(unix.BPF_JNE, 0, 0, refuse)
	load(unix.BPF_B, 0, frame, header+9)
	jump(unix.BPF_JNE, 0, unix.IPPROTO_UDP, refuse)
	zero(unix.BPF_DW, key)
	add(unix.BPF_ST|unix.BPF_MEM|unix.BPF_W, frame, 0, key+8, -0x10000) // 00 00 ff ff
	load(unix.BPF_W, 0, frame, header+16)
	add(unix.BPF_STX|unix.BPF_MEM|unix.BPF_W, frame, 0, key+12, 0)
	zero(unix.BPF_H, key+16)
	load(unix.BPF_H, 0, frame, header+22)
	add(unix.BPF_STX|unix.BPF_MEM|unix.BPF_H, frame, 0, key+18, 0)

	label(look)
	add(unix.BPF_LD|unix.BPF_DW|unix.BPF_IMM, 1, unix.BPF_PSEUDO_MAP_FD, 0, int32(peers))
	add(0, 0, 0, 0, 0) // its other half
	stack(2, key)
	call(mapLookup)
	jump(unix.BPF_JEQ, 0, 0, refuse)
	end(1)
	label(refuse)
	end(0)
	for at, name := range jumps {
		program[at].offset = int16(labels[name] - at - 1)
	}
	return program
}
