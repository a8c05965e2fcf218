package benchmarks

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/transport"
)

// counter is implemented by adapters that count what they do. Counters returns
// all of them by name, with 0 for what did not happen, in a map that belongs to
// the caller. They never decrease. It is called from any goroutine.
type counter interface {
	Counters() map[string]uint64
}

// countersOf reads the counters of an adapter, or of the one that it decorates;
// nil when there are none.
func countersOf(a transport.Adapter) map[string]uint64 {
	for {
		switch inner := a.(type) {
		case counter:
			return inner.Counters()
		case interface{ Unwrap() transport.Adapter }:
			a = inner.Unwrap()
		default:
			return nil
		}
	}
}

// counters are those of the session's device now.
func (s *session) counters() map[string]uint64 {
	if s.device == nil {
		return nil
	}
	return countersOf(s.device.Adapter())
}

// increases is by how much counters went up. It takes the later ones over.
func increases(before, after map[string]uint64) map[string]uint64 {
	for name := range after {
		after[name] -= before[name]
	}
	return after
}

// troubleNames are what the names of counters have in them that tell of a link
// or a peer that does not keep up: packets that were sent again, refused, came
// when no receive was posted, or came damaged.
var troubleNames = []string{"retransmi", "nak", "rnr", "icrc"}

// troubles lists the counters that are not 0 and tell of trouble, in the order
// of their names: "naks 2, retransmissions 14".
func troubles(counters map[string]uint64) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		is := func(part string) bool { return strings.Contains(strings.ToLower(name), part) }
		if counters[name] > 0 && slices.ContainsFunc(troubleNames, is) {
			list = append(list, fmt.Sprintf("%s %d", name, counters[name]))
		}
	}
	return strings.Join(list, ", ")
}

// stalled reports whether packets were sent again although none was lost: softroce had
// timeouts, but the other end saw no gap in what came. On one machine nothing but an end
// that has no processor answers that late; on a network, the last packet may be lost.
func (r *Result) stalled() bool {
	if r.remote || r.Counters["retransmitted"] == 0 || r.Counters["timeouts"] == 0 {
		return false
	}
	for name, n := range r.Counters {
		if n > 0 && (name == "sequence_naks_received" || name == "lost_responses" || name == "icrc_failures" || strings.HasPrefix(name, "faults_")) {
			return false
		}
	}
	return true
}
