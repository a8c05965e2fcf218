package lease

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// simulation is a node and tenants with a network between them that delays, and breaks
// connections. Time is what the next event has.
type simulation struct {
	t       *testing.T
	random  *rand.Rand
	now     time.Duration
	events  []simEvent // the next one first
	node    *Node
	epoch   uint64
	tenants []*simTenant
	session Session
	fencing map[ID]bool
	revoked map[ID]bool // told, or on the way
	grants  int
}

type simTenant struct {
	name    string
	client  *Client
	session Session // 0: not connected
	sending map[bool]time.Duration
}

type simEvent struct {
	at time.Duration
	do func()
}

// after makes an event. Of equal times the first one made comes first.
func (s *simulation) after(d time.Duration, do func()) {
	at := s.now + d
	i, _ := slices.BinarySearchFunc(s.events, at+1, func(e simEvent, at time.Duration) int { return cmp.Compare(e.at, at) })
	s.events = slices.Insert(s.events, i, simEvent{at, do})
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(d)) + 1)
}

// delay is that of a message: each direction of a connection keeps their order.
func (s *simulation) delay(tenant *simTenant, up bool) time.Duration {
	at := max(s.now+s.upTo(50*time.Millisecond), tenant.sending[up])
	tenant.sending[up] = at
	return at - s.now
}

func (s *simulation) start() {
	s.epoch++
	s.node = NewNode(NodeConfig{
		Epoch: s.epoch, Cores: []int{0, 1, 2, 3, 4, 5, 6, 7}, MemoryBytes: 8 * gib, Notice: 500 * time.Millisecond, MaxLife: 3 * time.Second,
		Secret: func() Secret { return Secret{byte(s.random.Uint32()), byte(s.random.Uint32())} },
	})
}

// settle carries out what the node wants.
func (s *simulation) settle() {
	node := s.node
	for _, a := range node.Actions(nil) {
		switch a.Do {
		case DoSend:
			tenant := s.bySession(a.Session)
			if a.Message.Kind == Notice {
				s.revoked[a.Message.Lease] = true
			}
			if tenant == nil {
				continue
			}
			session, m, b := a.Session, a.Message, make([]byte, MessageBytes)
			m.Encode(b)
			s.after(s.delay(tenant, false), func() {
				if tenant.session == session {
					require.NoError(s.t, m.Decode(b))
					require.NoError(s.t, tenant.client.Receive(s.now, &m))
					s.use(tenant)
				}
			})
		case DoDrain:
			s.revoked[a.Lease.ID] = true
		case DoBegin:
			s.grants++
		case DoFence:
			id := a.Lease.ID
			require.False(s.t, s.fencing[id], "a lease is fenced once")
			s.fencing[id] = true
			s.after(s.upTo(100*time.Millisecond), func() {
				if s.node == node {
					node.Fenced(id, [UsageWords]uint64{}, false)
					s.settle()
				}
			})
		}
	}
	s.check()
}

func (s *simulation) bySession(session Session) *simTenant {
	for _, t := range s.tenants {
		if session != 0 && t.session == session {
			return t
		}
	}
	return nil
}

// use sends what a tenant has to say.
func (s *simulation) use(tenant *simTenant) {
	session := tenant.session
	for _, m := range tenant.client.Messages(nil) {
		if session == 0 {
			continue
		}
		b := make([]byte, MessageBytes)
		m.Encode(b)
		s.after(s.delay(tenant, true), func() {
			if tenant.session == session {
				var m Message
				require.NoError(s.t, m.Decode(b))
				require.NoError(s.t, s.node.Receive(s.now, session, &m))
				s.settle()
			}
		})
	}
	tenant.client.Events(nil)
	s.check()
}

// check is what must hold at any time.
func (s *simulation) check() {
	cores := slices.Concat(s.node.free, s.node.kept)
	memory := s.node.memory
	for _, l := range s.node.Leases() {
		cores = append(cores, l.Cores...)
		memory += l.Memory
	}
	slices.Sort(cores)
	require.Equal(s.t, s.node.cfg.Cores, cores, "each core is in one place")
	require.Equal(s.t, s.node.cfg.MemoryBytes, memory)
	for _, tenant := range s.tenants {
		for _, h := range tenant.client.Leases() {
			if h.ID.Epoch() != s.epoch || h.Noticed || s.revoked[h.ID] || h.Expires <= s.now {
				continue
			}
			l := s.node.Lease(h.ID)
			require.NotNil(s.t, l, "%v holds lease %v until %v, and it has ended before %v", tenant.name, h.ID, h.Expires, s.now)
			require.Equal(s.t, Granted, l.State, "%v holds lease %v", tenant.name, h.ID)
			require.LessOrEqual(s.t, h.Expires, l.Expires, "the tenant stops first")
			require.Equal(s.t, tenant.name, l.Tenant)
		}
	}
}

func (s *simulation) connect(tenant *simTenant) {
	s.session++
	tenant.session, tenant.sending = s.session, map[bool]time.Duration{}
	s.node.Connect(tenant.session, tenant.name)
	tenant.client.Connected(s.now, s.epoch)
	s.settle()
	s.use(tenant)
}

func (s *simulation) disconnect(tenant *simTenant) {
	s.node.Disconnect(tenant.session)
	tenant.session = 0
	tenant.client.Disconnected("the link broke")
	s.settle()
}

// something happens: what a tenant, the owner of the node, or chance does.
func (s *simulation) something() {
	tenant := s.tenants[s.random.IntN(len(s.tenants))]
	switch held := tenant.client.Leases(); {
	case tenant.session == 0:
		s.connect(tenant)
	case s.random.IntN(60) == 0:
		s.node.Reclaim(s.now, s.random.IntN(9), "load")
		s.settle()
	case s.random.IntN(40) == 0:
		s.disconnect(tenant)
	case s.random.IntN(300) == 0: // kill -9: nothing of it is left
		for _, t := range s.tenants {
			if t.session != 0 {
				t.session = 0
				t.client.Disconnected("the agent is gone")
			}
		}
		s.start()
	case len(held) > 0 && s.random.IntN(3) == 0:
		tenant.client.Return(held[s.random.IntN(len(held))].ID)
		s.use(tenant)
	case len(held) < 4:
		tenant.client.Ask(s.now, terms(1+s.random.IntN(3)), s.upTo(4*time.Second))
		s.use(tenant)
	}
}

// Whatever the network and the owner do: no core is in two leases, a tenant stops using
// a lease before its node ends it unless it is revoked, and in the end all is stock again.
func TestSimulation(t *testing.T) {
	t.Parallel()
	for seed := range uint64(effort.Of(6, 100)) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			s := &simulation{t: t, random: rand.New(rand.NewPCG(seed, 0)), fencing: map[ID]bool{}, revoked: map[ID]bool{}}
			s.start()
			for i := range 4 {
				tenant := &simTenant{name: fmt.Sprintf("tenant-%d", i), client: NewClient()}
				s.tenants = append(s.tenants, tenant)
				s.connect(tenant)
			}
			var tick func()
			tick = func() {
				s.node.Tick(s.now)
				s.settle()
				for _, tenant := range s.tenants {
					tenant.client.Tick(s.now)
					s.use(tenant)
				}
				s.after(10*time.Millisecond, tick)
			}
			tick()
			for range 1500 {
				s.after(s.upTo(15*time.Second), s.something)
			}
			const end = 30 * time.Second
			for len(s.events) > 0 && s.now < end {
				e := s.events[0]
				s.events = s.events[1:]
				s.now = e.at
				e.do()
				if s.now > 15*time.Second {
					for _, tenant := range s.tenants {
						for _, h := range tenant.client.Leases() {
							delete(tenant.client.leases, h.ID) // forgotten without a word
						}
					}
				}
			}
			require.Greater(t, s.grants, 50)
			s.node.Reclaim(s.now, 0, "")
			require.Equal(t, Capacity{8, 8 * gib}, s.node.Free())
			require.Empty(t, s.node.tenants)
		})
	}
}
