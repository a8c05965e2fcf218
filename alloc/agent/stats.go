package agent

import (
	"maps"
	"time"

	"github.com/rfaas-go/rfaas/accounting/words"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
)

// Stats is the state of an agent at a moment, and what it has counted since New.
type Stats struct {
	// Free is what new leases can get, Leased what leases have, Fencing what ended leases
	// have whose processes are not known to be gone, Withheld what is kept back: the owner
	// has it, or the node is draining. Together they are all that the agent has.
	Free, Leased, Fencing, Withheld lease.Capacity
	// Leases counts leases by state.
	Leases   map[lease.State]int
	Draining bool
	// Tenants is how many are connected; one with several connections counts once.
	Tenants int

	// Ended counts leases that have ended, their fence included, by reason.
	Ended map[lease.Reason]uint64
	// Refused counts refusals that were sent, by reason: of leases and of packages.
	// lease.Stranger counts connections that were not authenticated.
	Refused map[lease.Reason]uint64
	// WorkersStarted counts processes of workers, WorkersEnded those that have ended, by
	// reason. lease.NoReason: the agent has ended it, as its lease had ended or its client
	// had connected again.
	WorkersStarted uint64
	WorkersEnded   map[lease.Reason]uint64

	// Accounts are what tenants have used since New: one for each tenant that ever had a
	// lease, in no order. A lease in use counts up to a second later, one that is not used
	// when it has ended. Values never decrease.
	Accounts []words.Account
	// Manager is nil while Register does not run.
	Manager *ManagerStats
}

// ManagerStats is what a manager knows of an agent.
type ManagerStats struct {
	// Registered is whether it has answered the last registration.
	Registered bool
	// Waiting is how many accounts have usage that was not reported to it yet; an account is
	// of a tenant in an epoch. While leases are in use some always have.
	Waiting int
	// Reported is when all usage had been reported to it. Zero: not yet.
	Reported time.Time
}

// Stats is the current one; it is the caller's. Any goroutine may call it.
func (a *Agent) Stats() Stats {
	a.mu.Lock()
	s := Stats{
		Free: a.node.Free(), Leases: map[lease.State]int{}, Draining: a.node.Draining(),
		Ended: maps.Clone(a.counts.ended), Refused: maps.Clone(a.counts.refused), WorkersEnded: maps.Clone(a.counts.workersEnded),
	}
	for _, l := range a.node.Leases() {
		s.Leases[l.State]++
		of := &s.Leased
		if l.State == lease.Fencing {
			of = &s.Fencing
		}
		of.Cores += len(l.Cores)
		of.MemoryBytes += l.Memory
	}
	tenants := map[string]struct{}{}
	for _, session := range a.sessions {
		tenants[session.tenant] = struct{}{}
	}
	m := a.manager
	a.mu.Unlock()
	// Read after what has ended, so that no more processes have ended than were started.
	s.WorkersStarted = a.processes.Load()
	s.Tenants = len(tenants)
	s.Withheld = lease.Capacity{
		Cores:       len(a.cfg.Cores) - s.Free.Cores - s.Leased.Cores - s.Fencing.Cores,
		MemoryBytes: a.cfg.MemoryBytes - s.Free.MemoryBytes - s.Leased.MemoryBytes - s.Fencing.MemoryBytes,
	}
	accounts := a.meter.accounts()
	for _, account := range accounts {
		if account.Epoch == a.cfg.Epoch {
			s.Accounts = append(s.Accounts, account)
		}
	}
	if m != nil {
		s.Manager = a.meter.managerStats(accounts)
		s.Manager.Registered = m.Registered()
	}
	return s
}

// counts are what the agent counts under its lock.
type counts struct{ ended, refused, workersEnded map[lease.Reason]uint64 }

func newCounts() counts {
	return counts{map[lease.Reason]uint64{}, map[lease.Reason]uint64{}, map[lease.Reason]uint64{}}
}

// count counts something where the lock is not held already.
func (a *Agent) count(f func(c *counts)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(&a.counts)
}

func (a *Agent) setManager(m *manager.Client) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.manager = m
}

// report is what the manager was told.
type report struct {
	last    map[account]words.Account // of this epoch
	missing int                       // accounts of the report under way
	at      time.Time                 // when nothing was missing
}

// toReport are the accounts that go to the manager next.
func (m *metering) toReport() []words.Account {
	all := m.accounts()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reported.missing = len(all); len(all) == 0 {
		m.reported.at = time.Now()
	}
	return all
}

// wasTold notes that the manager has all of an account.
func (m *metering) wasTold(a words.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.Epoch == m.epoch { // earlier ones are forgotten when they were told
		m.reported.last[account{a.Epoch, a.Tenant}] = a
	}
	if m.reported.missing--; m.reported.missing == 0 {
		m.reported.at = time.Now()
	}
}

// managerStats compares what the manager was told with what there is.
func (m *metering) managerStats(accounts []words.Account) *ManagerStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &ManagerStats{Reported: m.reported.at}
	for _, a := range accounts {
		if m.reported.last[account{a.Epoch, a.Tenant}] != a {
			s.Waiting++
		}
	}
	return s
}
