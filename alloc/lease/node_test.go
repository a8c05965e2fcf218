package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const gib = 1 << 30

// newNode has four cores and a secret that counts.
func newNode(cfg NodeConfig) *Node {
	if cfg.Cores == nil {
		cfg.Cores = []int{0, 1, 2, 3}
	}
	if cfg.MemoryBytes == 0 {
		cfg.MemoryBytes = 4 * gib
	}
	cfg.Epoch = 1
	next := byte(0)
	cfg.Secret = func() Secret { next++; return Secret{next} }
	return NewNode(cfg)
}

func terms(workers int) Terms {
	return Terms{Workers: workers, Cores: 1, MemoryBytes: gib / 2, Slots: 1, SlotBytes: 4096}
}

// tell hands a message in and returns what the node says and does.
func tell(t *testing.T, n *Node, now time.Duration, s Session, m Message) []Action {
	t.Helper()
	require.NoError(t, n.Receive(now, s, &m))
	return n.Actions(nil)
}

// request has one granted.
func request(t *testing.T, n *Node, now time.Duration, s Session, terms Terms, life time.Duration) *Lease {
	t.Helper()
	actions := tell(t, n, now, s, Message{Kind: Request, Number: 9, Terms: terms, Life: life})
	require.Len(t, actions, 2)
	require.Equal(t, DoBegin, actions[0].Do)
	l := actions[0].Lease
	require.Equal(t, Action{Do: DoSend, Session: s, Message: Message{Kind: Grant, Number: 9, Lease: l.ID, Secret: l.Secret, Life: l.Expires - now}}, actions[1])
	return l
}

func refused(t *testing.T, n *Node, s Session, terms Terms) Message {
	t.Helper()
	actions := tell(t, n, 0, s, Message{Kind: Request, Number: 9, Terms: terms, Life: time.Second})
	require.Len(t, actions, 1)
	m := actions[0].Message
	require.Equal(t, Refusal, m.Kind)
	require.EqualValues(t, 9, m.Number)
	return m
}

func TestGrantAndRelease(t *testing.T) {
	t.Parallel()
	n := newNode(NodeConfig{Overhead: func(*Terms) int64 { return gib / 4 }})
	n.Connect(1, "a")
	l := request(t, n, 0, 1, terms(2), time.Second)
	require.Equal(t, Capacity{2, 4*gib - 2*3*gib/4}, n.Free(), "the platform's memory counts")
	require.Equal(t, []int{0, 1}, l.Cores)
	require.Equal(t, []int{1}, l.WorkerCores(1))
	other := request(t, n, 0, 1, terms(1), time.Second)
	require.NotEqual(t, l.ID, other.ID)
	require.NotEqual(t, l.Secret, other.Secret)

	actions := tell(t, n, 0, 1, Message{Kind: Release, Lease: l.ID, Secret: l.Secret})
	require.Equal(t, []Action{{Do: DoFence, Lease: l}}, actions)
	require.Equal(t, 1, n.Free().Cores, "no core is free before the fence")
	n.Fenced(l.ID, [UsageWords]uint64{}, false)
	require.Equal(t, 3, n.Free().Cores)
	require.Equal(t, []Action{{Do: DoSend, Session: 1, Message: Message{Kind: Ended, Lease: l.ID, Reason: Released}}}, n.Actions(nil))
	n.Fenced(l.ID, [UsageWords]uint64{}, false)
	require.Equal(t, 3, n.Free().Cores, "and not twice")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	n := newNode(NodeConfig{Quota: func(tenant string) Capacity {
		if tenant == "small" {
			return Capacity{Cores: 1}
		}
		return Capacity{}
	}})
	n.Connect(1, "a")
	n.Connect(2, "small")
	bad := terms(1)
	bad.Slots = 0
	m := refused(t, n, 1, bad)
	require.Equal(t, Malformed, m.Reason)
	require.Equal(t, "slots: 0, must be from 1 to 32768", m.Text)
	require.Equal(t, TooMuch, refused(t, n, 1, terms(5)).Reason)
	huge := terms(3)
	huge.MemoryBytes = maxBytes
	require.Equal(t, TooMuch, refused(t, n, 1, huge).Reason, "sums do not wrap around")
	m = refused(t, n, 2, terms(2))
	require.Equal(t, OverQuota, m.Reason)
	require.Contains(t, m.Text, "it is 1 of the node's cores, of which 0 are in use")
	request(t, n, 0, 1, terms(3), 100*time.Second)
	m = refused(t, n, 1, terms(2))
	require.Equal(t, NoCores, m.Reason)
	require.Equal(t, Capacity{1, 4*gib - 3*gib/2}, m.Free)
	require.Positive(t, m.Life)
	much := terms(1)
	much.MemoryBytes = 3 * gib
	require.Equal(t, NoMemory, refused(t, n, 1, much).Reason)
	require.Error(t, n.Receive(0, 1, &Message{Kind: Grant}), "a client grants nothing")
}

// Renewals extend, expiry fences, and another tenant's request for a lease is refused.
func TestLifeOfALease(t *testing.T) {
	t.Parallel()
	n := newNode(NodeConfig{MaxLife: 10 * time.Second})
	n.Connect(1, "a")
	n.Connect(2, "b")
	l := request(t, n, 0, 1, terms(1), time.Hour)
	require.Equal(t, 10*time.Second, l.Expires)
	renew := Message{Kind: Renew, Number: 4, Lease: l.ID, Secret: l.Secret, Life: 8 * time.Second}
	require.Equal(t, []Action{{Do: DoSend, Session: 1, Message: Message{Kind: Renewed, Number: 4, Lease: l.ID, Life: 8 * time.Second}}}, tell(t, n, 5*time.Second, 1, renew))
	require.Equal(t, 13*time.Second, l.Expires)
	require.Equal(t, 10*time.Second, n.Tick(9*time.Second), "when it would have expired")
	require.Equal(t, 13*time.Second, n.Tick(10*time.Second))

	stranger := []Action{{Do: DoSend, Session: 2, Message: Message{Kind: Ended, Lease: l.ID, Number: 4, Reason: Unknown}}}
	require.Equal(t, stranger, tell(t, n, 0, 2, renew), "with its secret even")
	wrong := renew
	wrong.Secret[0]++
	stranger[0].Session = 1
	require.Equal(t, stranger, tell(t, n, 0, 1, wrong))
	require.Equal(t, Granted, l.State)

	n.Disconnect(1)
	require.Equal(t, 13*time.Second, n.Tick(12*time.Second))
	require.Empty(t, n.Actions(nil), "a lease outlives its connection")
	n.Connect(3, "a")
	require.Len(t, tell(t, n, 12*time.Second, 3, renew), 1)
	require.Equal(t, 20*time.Second, n.Tick(13*time.Second))
	n.Tick(20 * time.Second)
	require.Equal(t, []Action{{Do: DoFence, Lease: l}}, n.Actions(nil))
	require.Equal(t, Message{Kind: Ended, Lease: l.ID, Number: 4, Reason: Expired}, tell(t, n, 20*time.Second, 3, renew)[0].Message, "too late")
	n.Fenced(l.ID, [UsageWords]uint64{}, false)
	require.Equal(t, Session(3), n.Actions(nil)[0].Session, "the session that renewed it last is notified")
}

func TestDrain(t *testing.T) {
	t.Parallel()
	n := newNode(NodeConfig{Notice: time.Second})
	n.Connect(1, "a")
	l, brief := request(t, n, 0, 1, terms(1), 20*time.Second), request(t, n, 0, 1, terms(1), 500*time.Millisecond)
	n.Drain(0, Revoked, "maintenance")
	require.Equal(t, []Action{
		{Do: DoSend, Session: 1, Message: Message{Kind: Draining, Text: "maintenance"}},
		{Do: DoDrain, Lease: l},
		{Do: DoSend, Session: 1, Message: Message{Kind: Notice, Lease: l.ID, Reason: Revoked, Life: time.Second, Text: "maintenance"}},
		{Do: DoDrain, Lease: brief},
		{Do: DoSend, Session: 1, Message: Message{Kind: Notice, Lease: brief.ID, Reason: Revoked, Life: 500 * time.Millisecond, Text: "maintenance"}},
	}, n.Actions(nil))
	require.Equal(t, NodeDraining, refused(t, n, 1, terms(1)).Reason)
	require.Equal(t, Notice, tell(t, n, 100*time.Millisecond, 1, Message{Kind: Renew, Lease: l.ID, Secret: l.Secret, Life: time.Minute})[0].Message.Kind, "a renewal does not help")
	n.Drain(0, Revoked, "again")
	require.Empty(t, n.Actions(nil))
	late := tell(t, n, 600*time.Millisecond, 1, Message{Kind: Renew, Lease: brief.ID, Secret: brief.Secret, Life: time.Minute})[0].Message
	require.Equal(t, Notice, late.Kind)
	require.Zero(t, late.Life, "that is over, and no tick has found it yet")
	n.Tick(500 * time.Millisecond)
	require.Equal(t, []Action{{Do: DoFence, Lease: brief}}, n.Actions(nil))
	n.Tick(time.Second)
	require.Equal(t, []Action{{Do: DoFence, Lease: l}}, n.Actions(nil))
	n.Connect(2, "b")
	require.Equal(t, Draining, n.Actions(nil)[0].Message.Kind)
}

// Cores of an ended lease are free at once, memory when no client holds it any more.
func TestLingering(t *testing.T) {
	t.Parallel()
	n := newNode(NodeConfig{})
	n.Connect(1, "a")
	big := terms(1)
	big.MemoryBytes = 3 * gib
	l := request(t, n, 0, 1, big, time.Minute)
	tell(t, n, 0, 1, Message{Kind: Release, Lease: l.ID, Secret: l.Secret})
	n.Lingering(2 * gib)
	n.Fenced(l.ID, [UsageWords]uint64{}, false)
	n.Actions(nil)
	require.Equal(t, Capacity{4, 2 * gib}, n.Free())
	m := refused(t, n, 1, big)
	require.Equal(t, NoMemory, m.Reason)
	require.Equal(t, n.Free(), m.Free)
	require.Positive(t, m.Life, "it is worth to ask again")
	n.Lingering(5 * gib)
	require.Equal(t, Capacity{Cores: 4}, n.Free(), "never negative")
	n.Lingering(gib)
	request(t, n, 0, 1, big, time.Minute)
}

// The owner gets free cores at once, others after the notice of the youngest leases.
func TestReclaim(t *testing.T) {
	t.Parallel()
	n := newNode(NodeConfig{Notice: time.Second})
	n.Connect(1, "a")
	old, young := request(t, n, 0, 1, terms(1), time.Minute), request(t, n, 0, 1, terms(1), time.Minute)
	n.Reclaim(0, 1, "load")
	require.Equal(t, 1, n.Free().Cores)
	require.Empty(t, n.Actions(nil))
	n.Reclaim(0, 3, "load")
	require.Equal(t, 0, n.Free().Cores)
	require.Equal(t, Noticed, young.State)
	require.Equal(t, Granted, old.State)
	n.Reclaim(0, 3, "load")
	require.Equal(t, Granted, old.State, "what is coming counts")
	n.Tick(time.Second)
	n.Fenced(young.ID, [UsageWords]uint64{}, false)
	require.Equal(t, 0, n.Free().Cores, "it is the owner's")
	n.Reclaim(time.Second, 0, "")
	require.Equal(t, 3, n.Free().Cores)
	n.Actions(nil)
	l := request(t, n, time.Second, 1, terms(3), time.Minute)
	require.ElementsMatch(t, []int{1, 2, 3}, l.Cores)
}

// Code is looked for once, and sent by one.
func TestCode(t *testing.T) {
	t.Parallel()
	n := newNode(NodeConfig{})
	n.Connect(1, "a")
	n.Connect(2, "b")
	d := [32]byte{1}
	coded := terms(1)
	coded.Digest = d
	ask := func(s Session) Message {
		actions := tell(t, n, 0, s, Message{Kind: Request, Number: 9, Terms: coded, Life: time.Second})
		return actions[len(actions)-1].Message
	}
	first := tell(t, n, 0, 1, Message{Kind: Request, Number: 9, Terms: coded, Life: time.Second})
	require.Equal(t, DoFind, first[0].Do)
	require.Equal(t, CodeComing, first[1].Message.Reason)
	require.Equal(t, CodeComing, ask(2).Reason, "and is not looked for again")
	needed := func(of Session) { // it is not found, and the session that asks is to send it
		n.Found(0, d, false, "")
		require.Equal(t, Need, ask(of).Kind)
	}
	forget := func() {
		n.Gone(d)
		ask(1)
		needed(1)
		n.Actions(nil)
	}
	needed(1)
	require.Equal(t, CodeComing, ask(2).Reason, "another session sends it")

	piece := Message{Kind: Piece, Number: 5, Terms: Terms{Digest: d}, Total: 10}
	piece.Memory.Len = 6
	require.Equal(t, Refusal, tell(t, n, 0, 2, piece)[0].Message.Kind, "it was not asked")
	require.Equal(t, []Action{{Do: DoPull, Session: 1, Message: piece}}, tell(t, n, 0, 1, piece))
	n.Pulled(0, &piece, 1, "")
	require.Equal(t, int64(6), n.Actions(nil)[0].Message.Offset)
	last := piece
	last.Offset, last.Memory.Len = 6, 4
	require.Equal(t, DoPull, tell(t, n, 0, 1, last)[0].Do)
	n.Found(0, d, true, "")
	n.Pulled(0, &last, 1, "")
	require.Equal(t, Taken, n.Actions(nil)[0].Message.Kind)
	require.Equal(t, Grant, ask(2).Kind)
	require.Equal(t, Grant, ask(1).Kind)

	for name, bad := range map[string]func(m *Message){
		"a gap":          func(m *Message) { m.Offset++ },
		"beyond the end": func(m *Message) { m.Memory.Len = 11 },
		"nothing":        func(m *Message) { m.Memory.Len = 0 },
	} {
		forget()
		m := piece
		bad(&m)
		require.Equal(t, Malformed, tell(t, n, 0, 1, m)[0].Message.Reason, name)
	}
	forget()
	require.Equal(t, DoPull, tell(t, n, 0, 1, piece)[0].Do)
	require.Equal(t, Malformed, tell(t, n, 0, 1, piece)[0].Message.Reason, "one piece at a time")

	// Who sends and falls silent, or goes, makes room for the next one.
	for _, leave := range []func(){func() { n.Disconnect(1); n.Connect(1, "a") }, func() { n.Tick(codeIdle) }} {
		forget()
		leave()
		n.Actions(nil)
		ask(2)
		needed(2)
	}
	n.Found(0, d, false, "it is for another processor")
	require.Equal(t, CodeRefused, ask(1).Reason)
	require.Equal(t, "it is for another processor", ask(1).Text)
}
