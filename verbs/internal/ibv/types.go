package ibv

import (
	"errors"
	"fmt"
)

// ErrFull is returned by posts when the queue has no more room.
var ErrFull = errors.New("ibv: queue is full")

// Access of a memory region, and of a queue pair's peer.
const (
	AccessLocalWrite   = 1 << 0
	AccessRemoteWrite  = 1 << 1
	AccessRemoteRead   = 1 << 2
	AccessRemoteAtomic = 1 << 3
)

// Device is an RDMA device of this machine.
type Device struct {
	Name string
	GUID uint64
	Node string // its kind: "CA" (InfiniBand and RoCE), "RNIC" (iWARP), "usNIC", ...
}

// nodes are the names of enum ibv_node_type.
var nodes = map[int]string{1: "CA", 2: "switch", 3: "router", 4: "RNIC", 5: "usNIC", 6: "usNIC UDP", 7: "unspecified"}

func nodeName(node int) string {
	if name, ok := nodes[node]; ok {
		return name
	}
	return fmt.Sprintf("node type %d", node)
}

// DeviceAttr has the limits of a device.
type DeviceAttr struct {
	Firmware        string
	VendorID        uint32
	VendorPartID    uint32
	MaxMRSize       uint64 // bytes
	MaxQP           int
	MaxQPWR         int // work requests of a queue
	MaxSGE          int
	MaxCQ           int
	MaxCQE          int // completions of a queue
	MaxMR           int
	MaxPD           int
	MaxQPRdAtom     int // reads and atomics outstanding at a responder
	MaxQPInitRdAtom int // and at a requester
	MaxSRQ          int
	MaxSRQWR        int
	MaxSRQSGE       int
	AtomicCap       int // 0 none, 1 among the users of this device, 2 with the processors' as well
	PhysPorts       int
}

// PortState is the logical state of a port.
type PortState int

// The states of a port.
const (
	PortNop PortState = iota
	PortDown
	PortInit
	PortArmed
	PortActive
	PortActiveDefer
)

var portStates = []string{"nop", "down", "init", "armed", "active", "active (deferred)"}

// String is the state's name.
func (s PortState) String() string {
	if s >= 0 && int(s) < len(portStates) {
		return portStates[s]
	}
	return fmt.Sprintf("state %d", int(s))
}

// Link layers.
const (
	LinkLayerInfiniBand = 1
	LinkLayerEthernet   = 2
)

// PortAttr has the attributes of a port.
type PortAttr struct {
	State       PortState
	PhysState   int
	MaxMTU      int // bytes
	ActiveMTU   int // bytes
	GIDTableLen int
	MaxMessage  uint32 // bytes
	LID         uint16
	LinkLayer   int
}

// GID is an address of a port.
type GID struct {
	Index     int
	Addr      [16]byte // an IPv6 address, or an IPv4-mapped one
	Type      string   // "RoCE v2", "IB/RoCE v1", ... as the kernel has it; empty if unknown
	Interface string   // of RoCE; empty if unknown
}

// EventType is the kind of an asynchronous event.
type EventType uint32

// Asynchronous events.
const (
	EventCQError EventType = iota
	EventQPFatal
	EventQPRequestError
	EventQPAccessError
	EventCommunicationEstablished
	EventSendQueueDrained
	EventPathMigrated
	EventPathMigrationError
	EventDeviceFatal
	EventPortActive
	EventPortError
	EventLIDChange
	EventPKeyChange
	EventSMChange
	EventSRQError
	EventSRQLimitReached
	EventQPLastWQEReached
	EventClientReregister
	EventGIDChange
	EventWQFatal
)

// Event is an asynchronous event of a device.
type Event struct {
	Type EventType
	QPN  uint32 // of the queue pair that it is about, or 0
	Port int    // that it is about, or 0
}

// States of a queue pair.
const (
	StateReset = iota
	StateInit
	StateRTR
	StateRTS
	StateSQD
	StateSQE
	StateError
)

// QPInit describes a queue pair. All but SRQ are needed.
type QPInit struct {
	SendCQ, RecvCQ *CQ
	SRQ            *SRQ // nil: receives of its own, RecvDepth of them
	SendDepth      int
	RecvDepth      int
	SGEs           int // spans of a request, at most
	InlineBytes    int
}

// RTR is what a queue pair needs in order to receive.
type RTR struct {
	MTU             int // of the path, in bytes
	DestQPN         uint32
	PSN             uint32 // the peer's first
	MaxDestRdAtomic int    // reads and atomics that the peer may have outstanding
	MinRNRTimer     int    // code of the InfiniBand specification
	Port            int    // local
	SGIDIndex       int    // local
	DGID            [16]byte
	DLID            uint16
	SL              int
	TrafficClass    int
	HopLimit        int
	Global          bool // DGID, SGIDIndex, TrafficClass and HopLimit are in use: always with RoCE
}

// RTS is what it needs in order to send as well.
type RTS struct {
	PSN         uint32 // its first
	MaxRdAtomic int    // reads and atomics outstanding
	Timeout     int    // 4.096 us << Timeout; 0 is none
	RetryCount  int
	RNRRetry    int // 7: for ever
}

// QPState is the state of a queue pair as the device reports it.
type QPState struct {
	State           int
	RQPSN, SQPSN    uint32
	DestQPN         uint32
	MTU             int // bytes
	Access          int
	MaxRdAtomic     int
	MaxDestRdAtomic int
	MinRNRTimer     int
	Timeout         int
	RetryCount      int
	RNRRetry        int
	Port            int
	SGIDIndex       int
	DGID            [16]byte
}

// eventNumber is the name of an event that the library does not name.
func eventNumber(t EventType) string { return fmt.Sprintf("event %d", uint32(t)) }
