package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/accounting/words"
	"github.com/rfaas-go/rfaas/alloc/lease"
)

// metering counts what leases use. What executors count lies in pages, which outlive
// them; what the agent measures itself is written to a page of its own for each lease
// that is used, which outlives the agent. Ended leases go to the ledger.
type metering struct {
	node   string
	epoch  uint64
	log    *slog.Logger
	folder string             // of the pages; "": they are in memory
	ledger *accounting.Ledger // nil: nothing is kept

	told string // a file with the last epoch all of which the manager was told

	mu       sync.Mutex
	leases   map[lease.ID]*metered
	queue    []*metered // ended, and not in the ledger yet
	writing  []*metered // of them: on the way there
	wake     chan struct{}
	ledgered map[account]*words.Account // what ended leases have used, and the manager may lack
	reported report
}

// account is what the manager adds up.
type account struct {
	epoch  uint64
	tenant string
}

// metered is a lease.
type metered struct {
	id      lease.ID
	tenant  string
	cores   int
	mib     uint64 // of memory
	begun   time.Duration
	claimed bool // its code could write its pages
	pages   []*accounting.PageFile
	last    []accounting.Usage // what pages said last
	file    *accounting.PageFile
	own     *accounting.Page // nil: it was not used yet
	noted   accounting.Usage // what own says

	measured, counted accounting.Usage // of an ended lease
}

// The numbers of workers in the headers of the agent's own pages.
const (
	ownWorker        = math.MaxUint32
	ownWorkerClaimed = math.MaxUint32 - 1
)

// newMetering settles what an earlier life of the agent has left in its state, if there
// is one.
func newMetering(node string, epoch uint64, state *State, log *slog.Logger) (*metering, error) {
	m := &metering{node: node, epoch: epoch, log: log, leases: map[lease.ID]*metered{}, wake: make(chan struct{}, 1), ledgered: map[account]*words.Account{}, reported: report{last: map[account]words.Account{}}}
	if state == nil {
		return m, nil
	}
	m.folder = filepath.Join(state.Folder, "pages")
	if err := os.MkdirAll(m.folder, 0o700); err != nil {
		return nil, err
	}
	var err error
	if m.ledger, err = accounting.OpenLedger(state.LedgerPath(), accounting.LedgerConfig{Logger: log}); err != nil {
		return nil, err
	}
	err = m.settleRemains()
	if err == nil {
		m.told = filepath.Join(state.Folder, "told")
		err = m.recall()
	}
	if err != nil {
		return nil, errors.Join(err, m.ledger.Close())
	}
	return m, nil
}

// recall finds what the ledger has of epochs that the manager was not told all of.
func (m *metering) recall() error {
	text, err := os.ReadFile(m.told)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	told, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64) // 0: all are told again, to no effect
	for _, e := range m.ledger.Totals() {
		if e.Epoch > told && e.Lease != 0 {
			m.enter(e)
		}
	}
	return nil
}

// enter counts an entry of the ledger, or what would be one if there was a ledger. m.mu
// is held.
func (m *metering) enter(e accounting.Entry) {
	k := account{e.Epoch, e.Tenant}
	a := m.ledgered[k]
	if a == nil {
		a = &words.Account{Epoch: e.Epoch, Tenant: e.Tenant}
		m.ledgered[k] = a
	}
	if e.Claimed {
		a.Claimed = a.Claimed.Add(e.Usage)
	} else {
		a.Measured = a.Measured.Add(e.Usage)
	}
}

// accounts are what the manager is to know: what the ledger has, and what pages have of
// leases that are not there yet. Both outlive this process, so that nothing is told that
// its next life would not know of.
func (m *metering) accounts() []words.Account {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[account]words.Account{}
	for k, a := range m.ledgered {
		all[k] = *a
	}
	add := func(l *metered) {
		if l.own == nil {
			return
		}
		k := account{l.id.Epoch(), l.tenant}
		a := all[k]
		a.Epoch, a.Tenant, a.Measured = k.epoch, k.tenant, a.Measured.Add(l.noted)
		for _, u := range l.last {
			u = l.believe(u)
			if l.claimed {
				a.Claimed = a.Claimed.Add(u)
			} else {
				a.Measured = a.Measured.Add(u)
			}
		}
		all[k] = a
	}
	for _, l := range m.leases {
		add(l)
	}
	for _, l := range slices.Concat(m.queue, m.writing) {
		add(l)
	}
	return slices.Collect(maps.Values(all))
}

// isKept forgets accounts of earlier epochs that the manager keeps, and writes down when
// it has all of them.
func (m *metering) isKept(a words.Account) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.Epoch >= m.epoch || m.ledgered[account{a.Epoch, a.Tenant}] == nil {
		return
	}
	delete(m.ledgered, account{a.Epoch, a.Tenant})
	for k := range m.ledgered {
		if k.epoch < m.epoch {
			return
		}
	}
	if err := os.WriteFile(m.told, fmt.Appendln(nil, m.epoch-1), 0o600); err != nil { // else they are told again
		m.log.Warn("which epochs the manager knows cannot be written down", "reason", err)
	}
}

// settleRemains enters the pages of leases of an earlier life into the ledger.
func (m *metering) settleRemains() error {
	remains := map[lease.ID]*metered{}
	paths, err := filepath.Glob(filepath.Join(m.folder, accounting.TempPrefix+"*"))
	if err != nil {
		return err
	}
	for info, err := range accounting.ListPages(m.folder) {
		paths = append(paths, info.Path)
		if err != nil {
			m.log.Error("a page of an earlier life of the agent cannot be read; what it says is not billed", "reason", err)
			continue
		}
		h := info.Header
		l := remains[lease.ID(h.Lease)]
		if l == nil {
			l = &metered{id: lease.ID(h.Lease), tenant: h.Tenant}
			remains[l.id] = l
		}
		if h.Worker >= ownWorkerClaimed {
			l.measured, l.claimed = l.measured.Add(info.Usage), h.Worker == ownWorkerClaimed
		} else {
			l.counted = l.counted.Add(info.Usage)
		}
	}
	for _, e := range m.ledger.Totals() { // it was killed between the entry and the end of the pages
		delete(remains, lease.ID(e.Lease))
	}
	for _, l := range remains {
		l.counted = l.believe(l.counted) // now that it is known whether it is claimed
		m.log.Info("a lease of an earlier life of the agent is settled", "lease", l.id, "tenant", l.tenant)
		if err := m.ledger.Append(m.entries(l)...); err != nil {
			return err
		}
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// begin counts a lease from now on.
func (m *metering) begin(l *lease.Lease, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leases[l.ID] = &metered{
		id: l.ID, tenant: l.Tenant, cores: len(l.Cores), mib: uint64(l.Memory+1<<20-1) >> 20, begun: now,
		pages: make([]*accounting.PageFile, l.Terms.Workers), last: make([]accounting.Usage, l.Terms.Workers),
	}
}

// page is that of a worker, for its process to write to. claimed: that is code which
// could write anything.
func (m *metering) page(id lease.ID, worker int, claimed bool, now time.Duration) (*os.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.leases[id]
	if l == nil {
		return nil, errNoLease
	}
	if l.own == nil {
		l.claimed = claimed
		number := uint32(ownWorker)
		if claimed {
			number = ownWorkerClaimed
		}
		var err error
		if l.file, err = m.create(l, number); err != nil {
			return nil, err
		}
		if l.own, err = accounting.MapPage(l.file.File()); err != nil {
			return nil, err
		}
		l.note(now, 0)
	}
	if l.pages[worker] == nil {
		var err error
		if l.pages[worker], err = m.create(l, uint32(worker)); err != nil {
			return nil, err
		}
	}
	return l.pages[worker].File(), nil
}

func (m *metering) create(l *metered, worker uint32) (*accounting.PageFile, error) {
	return accounting.CreatePage(m.folder, accounting.PageHeader{Epoch: l.id.Epoch(), Lease: uint64(l.id), Worker: worker, Tenant: l.tenant})
}

// measure is what the agent knows of a lease by itself. cpu is the processor time of
// its processes, which counts if they could say what they like.
func (l *metered) measure(now, cpu time.Duration) (u accounting.Usage) {
	life := max(now-l.begun, 0)
	u[accounting.CoreTime] = uint64(life) * uint64(l.cores)
	u[accounting.MemoryTime] = uint64(life/time.Millisecond) * l.mib
	if l.claimed {
		u[accounting.ExecutedTime] = uint64(cpu)
	}
	return u
}

// note writes that to the agent's own page. m.mu is held.
func (l *metered) note(now, cpu time.Duration) {
	for q, v := range l.measure(now, cpu) {
		if q := accounting.Quantity(q); v > l.noted[q] {
			l.noted[q] = v
			l.own.Store(q, v)
		}
	}
}

// count is what the pages say. One that was damaged counts as what it said before.
// m.mu is held.
func (m *metering) count(l *metered) (sum accounting.Usage) {
	for i, p := range l.pages {
		if p == nil {
			continue
		}
		u, err := p.Usage()
		if err == nil {
			_, err = u.Sub(l.last[i])
		}
		if err != nil {
			m.log.Warn("a worker's page is not what it was; what it said before counts", "lease", l.id, "worker", i, "reason", err)
			u = l.last[i]
		}
		l.last[i] = u
		sum = sum.Add(l.believe(u))
	}
	return sum
}

// believe is what of a worker's page counts: nothing that the agent knows by itself, and of
// code that could write anything no times, which the kernel measures.
func (l *metered) believe(u accounting.Usage) accounting.Usage {
	u[accounting.CoreTime], u[accounting.MemoryTime] = 0, 0
	if l.claimed {
		u[accounting.PolledTime], u[accounting.ExecutedTime] = 0, 0
	}
	return u
}

// progress brings the agent's own page of a lease up to date.
func (m *metering) progress(id lease.ID, now, cpu time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.leases[id]; l != nil && l.own != nil {
		l.note(now, cpu)
		m.count(l)
	}
}

// end is what a lease has cost in all. claimed: its counts are what its own code says.
func (m *metering) end(id lease.ID, now, cpu time.Duration) (total accounting.Usage, claimed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.leases[id]
	if l == nil {
		return accounting.Usage{}, false
	}
	delete(m.leases, id)
	l.measured, l.counted = l.measure(now, cpu), m.count(l)
	if l.own != nil {
		l.note(now, cpu)
		if err := l.own.Close(); err != nil {
			m.log.Warn("the agent's page of a lease", "lease", id, "reason", err)
		}
	}
	if m.ledger == nil {
		m.remove(l)
		e := accounting.Entry{Epoch: id.Epoch(), Tenant: l.tenant, Usage: l.measured}
		m.enter(e)
		e.Claimed, e.Usage = l.claimed, l.counted
		m.enter(e)
	} else {
		m.queue = append(m.queue, l)
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	return l.measured.Add(l.counted), l.claimed
}

// entries are those of an ended lease.
func (m *metering) entries(l *metered) []accounting.Entry {
	e := accounting.Entry{At: time.Now().UTC().Truncate(time.Second), Node: m.node, Epoch: l.id.Epoch(), Tenant: l.tenant, Lease: uint64(l.id), Usage: l.measured}
	if !l.claimed {
		e.Usage = l.measured.Add(l.counted)
		return []accounting.Entry{e}
	}
	says := e
	says.Claimed, says.Usage = true, l.counted
	return []accounting.Entry{e, says}
}

// settle writes ended leases to the ledger, and removes their pages.
func (m *metering) settle() error {
	m.mu.Lock()
	queue := m.queue
	m.queue, m.writing = nil, queue
	m.mu.Unlock()
	if len(queue) == 0 {
		return nil
	}
	var all []accounting.Entry
	for _, l := range queue {
		all = append(all, m.entries(l)...)
	}
	if err := m.ledger.Append(all...); err != nil {
		m.mu.Lock()
		m.queue, m.writing = append(queue, m.queue...), nil
		m.mu.Unlock()
		return err
	}
	m.mu.Lock()
	m.writing = nil
	for _, e := range all {
		m.enter(e)
	}
	m.mu.Unlock()
	for _, l := range queue {
		m.remove(l)
	}
	return nil
}

func (m *metering) remove(l *metered) {
	for _, p := range append(l.pages, l.file) {
		if p == nil {
			continue
		}
		if err := p.Remove(); err != nil {
			m.log.Warn("a page of an ended lease remains", "lease", l.id, "reason", err)
		}
	}
}

// close writes what is left.
func (m *metering) close() error {
	if m.ledger == nil {
		return nil
	}
	return errors.Join(m.settle(), m.ledger.Close())
}
