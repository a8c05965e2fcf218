package accounting

import (
	"cmp"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/internal/names"
)

// Entry is what a lease, or a tenant as a whole, has used on a node in an epoch.
type Entry struct {
	At      time.Time // when it was so: UTC, whole seconds
	Node    string    // passes names.Check
	Epoch   uint64    // of the node's agent
	Tenant  string    // passes names.Check
	Lease   uint64    // 0: of the tenant as a whole
	Claimed bool      // what the tenant's own code says, not measured
	Usage   Usage     // cumulative, from the beginning of the lease or the epoch
}

// series is what the values of entries are cumulative over. What is claimed and what
// is measured of one lease are two of them.
type series struct {
	node    string
	epoch   uint64
	tenant  string
	lease   uint64
	claimed bool
}

func (e *Entry) series() series { return series{e.Node, e.Epoch, e.Tenant, e.Lease, e.Claimed} }

func (s series) String() string {
	kind := "measured"
	if s.claimed {
		kind = "claimed"
	}
	return fmt.Sprintf("node %q, epoch %d, tenant %q, lease %d, %s", s.node, s.epoch, s.tenant, s.lease, kind)
}

func (s series) compare(t series) int {
	order := cmp.Or(cmp.Compare(s.node, t.node), cmp.Compare(s.epoch, t.epoch), cmp.Compare(s.tenant, t.tenant), cmp.Compare(s.lease, t.lease))
	if order == 0 && s.claimed != t.claimed {
		order = 1
		if t.claimed {
			order = -1
		}
	}
	return order
}

// maxSeconds is the end of the year 9999: no later time can be written in a bill.
const maxSeconds = 253402300799

// check checks all but the usage.
func (e *Entry) check() error {
	if err := names.Check(e.Node); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if err := names.Check(e.Tenant); err != nil {
		return fmt.Errorf("tenant: %w", err)
	}
	if s := e.At.Unix(); s <= 0 || s > maxSeconds {
		return fmt.Errorf("the time %v: must be after 1970 and before 10000", e.At)
	}
	return nil
}
