package transporttest

import (
	"testing"

	"github.com/rfaas-go/rfaas/transport"
)

// TestLedger plays requests, each signaled or not, and completions, and looks
// which of these break a rule.
func TestLedger(t *testing.T) {
	t.Parallel()
	const ok, bad, flushed = transport.StatusOK, transport.StatusRemoteAccess, transport.StatusFlushed
	type end struct {
		id     uint64
		status transport.Status
	}
	for _, test := range []struct {
		what     string
		signaled []bool
		ends     []end
		broken   bool // the last of ends breaks a rule
		settled  bool
	}{
		{"nothing posted", nil, nil, false, true},
		{"one outstanding", []bool{true}, nil, false, false},
		{"one done", []bool{true}, []end{{1, ok}}, false, true},
		{"unsignaled ones are passed over", []bool{false, false, true}, []end{{3, ok}}, false, true},
		{"unsignaled ones at the end leave nothing to wait for", []bool{true, false}, []end{{1, ok}}, false, true},
		{"a completion of nothing", []bool{true}, []end{{2, ok}}, true, false},
		{"twice", []bool{true}, []end{{1, ok}, {1, ok}}, true, false},
		{"out of order", []bool{true, true}, []end{{2, ok}}, true, false},
		{"an unsignaled one completes well", []bool{false}, []end{{1, ok}}, true, false},
		{"an unsignaled one fails", []bool{false}, []end{{1, bad}}, false, true},
		{"a failure, then the rest flushed", []bool{true, true, false}, []end{{1, bad}, {2, flushed}, {3, flushed}}, false, true},
		{"a failure, the rest still to come", []bool{true, false}, []end{{1, bad}}, false, false},
		{"a failure, and a later one well", []bool{true, true}, []end{{1, bad}, {2, ok}}, true, false},
		{"a failure, and an unsignaled one missing", []bool{true, false, true}, []end{{1, bad}, {3, flushed}}, true, false},
		{"far more than the depth outstanding", make([]bool, 40), []end{{1, bad}}, true, false},
	} {
		l := newLedger(4)
		for _, signaled := range test.signaled {
			l.post(signaled)
		}
		for i, e := range test.ends {
			err := l.complete(transport.Completion{ID: e.id, Status: e.status})
			if broken := test.broken && i == len(test.ends)-1; broken != (err != nil) {
				t.Errorf("%s: completion %d: %v", test.what, i, err)
			}
		}
		if !test.broken && l.settled() != test.settled {
			t.Errorf("%s: settled: %v", test.what, l.settled())
		}
	}
}
