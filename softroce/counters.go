package softroce

import (
	"reflect"

	"github.com/rfaas-go/rfaas/softroce/internal/rc"
)

// counters are those of an engine: of its queue pairs, and of packets that
// reach none. Guarded by the engine lock.
type counters struct {
	rc.Counters

	PacketsSent         uint64 `counter:"packets_sent"`
	PacketsReceived     uint64 `counter:"packets_received"`
	ICRCFailures        uint64 `counter:"icrc_failures"`
	Malformed           uint64 `counter:"malformed"`          // not RoCE, or of another partition
	UnknownQueuePair    uint64 `counter:"unknown_queue_pair"` // closed, or never there
	WrongSource         uint64 `counter:"wrong_source"`       // not the peer's address, or port
	SendErrors          uint64 `counter:"send_errors"`        // messages that the kernel refused
	SegmentationRefused uint64 `counter:"segmentation_refused"`

	FaultsLost       uint64 `counter:"faults_lost"` // injected
	FaultsDuplicated uint64 `counter:"faults_duplicated"`
	FaultsReordered  uint64 `counter:"faults_reordered"`
	FaultsCorrupted  uint64 `counter:"faults_corrupted"`
	FaultsDelayed    uint64 `counter:"faults_delayed"`    // held back by the parameters delay, jitter, rate
	FaultsOverflowed uint64 `counter:"faults_overflowed"` // lost, as there was no room for more of these
}

// Counters returns what the engine has counted since it was opened, by name;
// docs/PROTOCOL.md explains each. It may be called from anywhere.
func (a *Adapter) Counters() map[string]uint64 {
	e := a.engine
	e.Lock()
	c := e.counters
	e.Unlock()
	m := map[string]uint64{}
	collect(m, reflect.ValueOf(c))
	return m
}

// collect adds the fields of a struct under their names in the tag "counter".
func collect(m map[string]uint64, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			collect(m, v.Field(i))
			continue
		}
		name := f.Tag.Get("counter")
		if name == "" {
			name = f.Tag.Get("json")
		}
		m[name] = v.Field(i).Uint()
	}
}
