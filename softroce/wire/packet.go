package wire

// The sizes and numbers that all packets share.
const (
	Port        = 4791      // UDP port of RoCEv2
	DefaultPKey = 0xffff    // the default partition
	PSNMask     = 1<<24 - 1 // packet sequence numbers have 24 bits
	QPNMask     = 1<<24 - 1 // and so have numbers of queue pairs

	MaxHeaderBytes   = bthBytes + atomicETHBytes // of a BTH and extension headers
	MaxPayloadBytes  = 4096                      // the largest path MTU
	ICRCBytes        = 4
	MaxDatagramBytes = MaxHeaderBytes + MaxPayloadBytes + ICRCBytes // no packet is longer
)

// Packet is one RoCEv2 packet between the UDP header and the ICRC. Fields that
// the opcode does not have are zero after Decode, and Encode ignores them.
type Packet struct {
	Opcode     Opcode
	Solicited  bool // SE: the receiver of the message asked to be woken
	Migrated   bool // M: path migration state
	AckRequest bool // A: an acknowledgement is wanted

	Congested     bool // FECN: it met congestion
	CongestedBack bool // BECN: packets of the other direction met congestion

	Syndrome uint8  // AETH: see SyndromeACK
	PKey     uint16 // partition key
	DestQP   uint32 // 24 bits
	PSN      uint32 // 24 bits

	VA       uint64 // RETH, AtomicETH: remote address
	RKey     uint32 // RETH, AtomicETH: key of the remote region
	Length   uint32 // RETH: bytes of the whole message
	SwapAdd  uint64 // AtomicETH: what to store, or to add
	Compare  uint64 // AtomicETH: what has to be there
	Original uint64 // AtomicAckETH: what was there
	MSN      uint32 // AETH: 24 bits, messages completed by the responder
	Imm      uint32 // ImmDt
	QKey     uint32 // DETH
	SourceQP uint32 // DETH: 24 bits

	// Payload is up to two pieces, one after the other, for a ring's sake. Decode
	// sets the first only; it is a part of the datagram that was decoded.
	Payload [2][]byte
}

// HeaderBytes is the length of the BTH and the extension headers.
func (p *Packet) HeaderBytes() int { return int(headerBytes[p.Opcode]) }

// PayloadBytes is the length of the payload, both pieces of it.
func (p *Packet) PayloadBytes() int { return len(p.Payload[0]) + len(p.Payload[1]) }

// Pad is how many zero bytes (0 to 3) follow the payload, to end on a multiple
// of four.
func (p *Packet) Pad() int { return -p.PayloadBytes() & 3 }

// DatagramBytes is the length of the UDP payload: headers, payload, pad and ICRC.
func (p *Packet) DatagramBytes() int {
	return p.HeaderBytes() + (p.PayloadBytes()+3)&^3 + ICRCBytes
}
