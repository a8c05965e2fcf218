package transport

import "strings"

// Features are facts about a provider that programs and tests decide by.
type Features uint32

const (
	// FeatureRegister: existing memory can be registered (ProtectionDomain.Register).
	FeatureRegister Features = 1 << iota
	// FeatureSharedReceive: ProtectionDomain.NewSharedReceive works.
	FeatureSharedReceive
	// FeatureAtomicsCoherent: remote atomics and the CPU's own atomic
	// instructions on the same word exclude each other.
	FeatureAtomicsCoherent
	// FeatureEvents: a Queue.Wait that sleeps uses no processor time.
	FeatureEvents
	// FeatureWatchMemory: a program may spin on memory that a peer writes,
	// without calling Poll: with atomic loads of the last 8 bytes of a write, if
	// they are aligned to 8 and come from one local span. They are stored last and
	// in one piece.
	FeatureWatchMemory
	// FeatureCrossProcess: the two ends may be two processes.
	FeatureCrossProcess
	// FeatureCrossHost: the two ends may be on two machines.
	FeatureCrossHost
	// FeatureUnixSocket: connections are set up over a Unix socket only.
	FeatureUnixSocket
)

var featureNames = []string{"register", "shared-receive", "atomics-coherent", "events", "watch-memory", "cross-process", "cross-host", "unix-socket"}

// Has reports whether all of g are in f.
func (f Features) Has(g Features) bool { return f&g == g }

// String lists the features' names.
func (f Features) String() string {
	var names []string
	for i, name := range featureNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// Capabilities is what a provider can do: operations, facts and limits.
type Capabilities struct {
	// Wire names the protocol between two queue pairs, with its version: ends
	// whose Wire is equal can connect, whatever their providers.
	Wire string

	Ops      OpSet
	Features Features

	MaxMessageBytes uint64 // of one request
	MaxInlineBytes  uint32
	MaxSendDepth    uint32
	MaxRecvDepth    uint32
	MaxQueueDepth   uint32 // of a Queue

	// Notes say what was chosen at Open, and why, a sentence each; for logs and
	// for `rfaas devices`.
	Notes []string
}
