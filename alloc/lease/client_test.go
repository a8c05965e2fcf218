package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// granted is a client with a lease that it asked for at 0.
func granted(t *testing.T, life time.Duration) (*Client, *Held) {
	c := NewClient()
	c.Connected(0, 1)
	number := c.Ask(0, terms(2), life)
	require.Equal(t, []Message{{Kind: Request, Number: number, Life: life, Terms: terms(2)}}, c.Messages(nil))
	require.NoError(t, c.Receive(time.Second, &Message{Kind: Grant, Number: number, Lease: NewID(1, 1), Secret: Secret{1}, Life: life}))
	events := c.Events(nil)
	require.Len(t, events, 1)
	require.Equal(t, WasGranted, events[0].Kind)
	return c, events[0].Lease
}

// The life counts from when the request was sent, and that of a renewal, too.
func TestClientCountsFromSending(t *testing.T) {
	t.Parallel()
	c, h := granted(t, 30*time.Second)
	require.Equal(t, 30*time.Second, h.Expires)
	require.Equal(t, 10*time.Second, c.Tick(time.Second))
	c.Tick(10 * time.Second)
	first := c.Messages(nil)[0]
	require.Equal(t, Renew, first.Kind)
	require.Equal(t, 15*time.Second, c.Tick(14*time.Second), "it was not answered")
	c.Tick(15 * time.Second)
	second := c.Messages(nil)[0]
	require.NotEqual(t, first.Number, second.Number)
	answer := Message{Kind: Renewed, Lease: h.ID, Number: first.Number, Life: 30 * time.Second}
	require.NoError(t, c.Receive(16*time.Second, &answer))
	require.Equal(t, 40*time.Second, h.Expires, "it answers the first")
	require.NoError(t, c.Receive(16*time.Second, &answer))
	require.Equal(t, 40*time.Second, h.Expires, "a second time it says nothing")
	answer.Number = second.Number
	require.NoError(t, c.Receive(17*time.Second, &answer))
	require.Equal(t, 45*time.Second, h.Expires)
	require.Equal(t, 25*time.Second, c.Tick(17*time.Second))
	answer.Number = 999
	require.NoError(t, c.Receive(17*time.Second, &answer))
	require.Equal(t, 45*time.Second, h.Expires, "nothing was asked with that number")
}

func TestClientExpires(t *testing.T) {
	t.Parallel()
	c, h := granted(t, 30*time.Second)
	c.Disconnected("gone")
	require.Empty(t, c.Events(nil), "a lease outlives its connection")
	require.Equal(t, 30*time.Second, c.Tick(29*time.Second))
	require.Empty(t, c.Messages(nil))
	c.Tick(30 * time.Second)
	require.Equal(t, []Event{{Kind: WasEnded, Lease: h, Reason: Expired}}, c.Events(nil))
	require.Empty(t, c.Leases())
	c.Return(h.ID)
	require.Empty(t, c.Messages(nil))
}

func TestClientReconnects(t *testing.T) {
	t.Parallel()
	c, h := granted(t, 30*time.Second)
	number := c.Ask(0, terms(1), time.Second)
	c.Disconnected("gone")
	require.Equal(t, []Event{{Kind: WasRefused, Number: number, Reason: Unknown, Text: "gone"}}, c.Events(nil))
	require.Empty(t, c.Messages(nil), "what was not sent is not sent later")
	c.Connected(2*time.Second, 1)
	require.Equal(t, Renew, c.Messages(nil)[0].Kind)
	c.Disconnected("gone")
	c.Connected(3*time.Second, 2)
	require.Equal(t, []Event{{Kind: WasEnded, Lease: h, Reason: AgentEnds, Text: "the agent was restarted"}}, c.Events(nil))
}

func TestClientIsTold(t *testing.T) {
	t.Parallel()
	c, h := granted(t, 30*time.Second)
	require.NoError(t, c.Receive(time.Second, &Message{Kind: Lost, Lease: h.ID, Worker: 1, Number: 3, Process: 44, Reason: WorkerDied, Text: "killed"}))
	require.NoError(t, c.Receive(time.Second, &Message{Kind: Lost, Lease: h.ID, Worker: 2}))
	require.NoError(t, c.Receive(2*time.Second, &Message{Kind: Notice, Lease: h.ID, Reason: Revoked, Life: 5 * time.Second}))
	require.NoError(t, c.Receive(2*time.Second, &Message{Kind: Draining}))
	require.Equal(t, []Event{
		{Kind: WasLost, Lease: h, Worker: 1, Number: 3, Process: 44, Reason: WorkerDied, Text: "killed"},
		{Kind: WasNoticed, Lease: h, Reason: Revoked, After: 5 * time.Second},
		{Kind: WasDraining},
	}, c.Events(nil))
	require.Equal(t, 7*time.Second, h.Expires)
	c.Tick(6 * time.Second)
	c.Tick(6 * time.Second)
	require.LessOrEqual(t, len(c.Messages(nil)), 1, "there is nothing to renew any more")
	require.NoError(t, c.Receive(6*time.Second, &Message{Kind: Ended, Lease: h.ID, Reason: Revoked}))
	require.Equal(t, WasEnded, c.Events(nil)[0].Kind)
	require.Empty(t, c.Leases())
}

// What answers nothing that was asked is the agent's mistake.
func TestClientDistrustsTheAgent(t *testing.T) {
	t.Parallel()
	c, h := granted(t, 30*time.Second)
	coded := terms(1)
	coded.Digest[0] = 1
	number := c.Ask(0, coded, time.Second)
	for _, m := range []Message{
		{Kind: Grant, Number: 77, Lease: NewID(1, 2)},
		{Kind: Grant, Number: number, Lease: h.ID},
		{Kind: Need, Number: number},
		{Kind: Refusal, Number: 77},
		{Kind: Request},
	} {
		require.Error(t, c.Receive(0, &m), "%v", m.Kind)
	}
}
