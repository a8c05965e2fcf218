package lease

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/names"
	"github.com/rfaas-go/rfaas/transport"
)

// full is a message with something in every field.
func full() Message {
	return Message{
		Kind: Request, Number: 7, Lease: NewID(3, 5), Secret: Secret{1, 2, 3}, Reason: NoMemory, Worker: 4, Process: 5, Life: time.Second,
		Terms: Terms{Workers: 1, Cores: 2, MemoryBytes: 3, Slots: 4, SlotBytes: 5, PayloadBytes: 6, Spin: 7, Digest: [32]byte{31: 9}},
		Free:  Capacity{8, 9}, Offset: 10, Total: 11, Memory: transport.RemoteSpan{Addr: 12, Len: 13, Key: 14}, Text: "why",
		Usage: [UsageWords]uint64{0: 1, 6: 7}, Claimed: true,
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	m, b := full(), make([]byte, MessageBytes)
	m.Encode(b)
	var got Message
	require.NoError(t, got.Decode(b))
	require.Equal(t, m, got)

	m.Text = strings.Repeat("ä", MaxTextBytes)
	m.Encode(b)
	require.NoError(t, got.Decode(b))
	require.Equal(t, strings.Repeat("ä", MaxTextBytes/2), got.Text, "cut between runes")

	m.Text = "a\x1b[31mb\nc\u009bd\xff"
	m.Encode(b)
	require.NoError(t, got.Decode(b))
	require.Equal(t, "a?[31mb?c?d?", got.Text, "nothing for a terminal to obey")

	for _, hostile := range []func(){
		func() { b[0] = 0 }, func() { b[0] = byte(kindEnd) }, func() { b[3] = 0xff }, func() { b[39] = 0x80 }, func() { b[53] = 0xff }, func() { b[135] = 0x80 },
	} {
		valid := full()
		valid.Encode(b)
		hostile()
		require.ErrorIs(t, got.Decode(b), errMalformed)
	}
	require.ErrorIs(t, got.Decode(b[1:]), errMalformed)
}

func TestMessageAllocatesNothing(t *testing.T) {
	m, b := full(), make([]byte, MessageBytes)
	m.Text = ""
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.Encode(b)
		if m.Decode(b) != nil {
			panic("it is its own")
		}
	}))
}

func FuzzMessage(f *testing.F) {
	m, b := full(), make([]byte, MessageBytes)
	m.Encode(b)
	f.Add(b)
	f.Add(bytes.Repeat([]byte{1}, MessageBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, again Message
		if m.Decode(b) != nil {
			return
		}
		_ = m.Kind.String() + m.Reason.String() + m.Lease.String()
		c := make([]byte, MessageBytes)
		m.Encode(c)
		require.NoError(t, again.Decode(c))
		require.Equal(t, m, again)
	})
}

func TestHello(t *testing.T) {
	t.Parallel()
	h := Hello{Version: Version, Name: "tenant-1", Epoch: 5, Free: Capacity{3, 4}, Token: []byte("secret")}
	var got Hello
	require.NoError(t, got.Decode(h.Encode()))
	require.Equal(t, h, got)
	b := h.Encode()
	b[4] = Version + 1
	other := (*VersionError)(nil)
	require.ErrorAs(t, got.Decode(b[:6]), &other, "of another version nothing else is looked at")
	require.EqualError(t, other, "the peer speaks version 2 of the protocol of leases, this end version 1; use one release on both ends")
	for _, name := range []string{"", "a b", "a,b", "a/b", "ä", "a\n", strings.Repeat("a", names.MaxBytes+1)} {
		require.Error(t, got.Decode((&Hello{Name: name}).Encode()), "%q", name)
	}
	for n := range h.Encode() {
		require.Error(t, got.Decode(h.Encode()[:n]))
	}
}

func FuzzHello(f *testing.F) {
	f.Add((&Hello{Name: "a", Token: []byte("b")}).Encode())
	f.Add([]byte(helloMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h, again Hello
		if h.Decode(b) != nil {
			return
		}
		require.NoError(t, again.Decode(h.Encode()))
		require.Equal(t, h, again)
	})
}

func TestToken(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		id := ID(random.Uint64())
		token := Token{id, Secret{0: byte(random.Uint32()), 15: byte(random.Uint32())}, random.IntN(MaxWorkers), random.Uint32()}
		got, ok := ParseToken(token.Encode())
		require.True(t, ok)
		require.Equal(t, token, got)
		require.Equal(t, id, NewID(id.Epoch(), id.Count()))
		_, ok = ParseToken(token.Encode()[1:])
		require.False(t, ok)
		parsed, err := ParseID(id.String())
		require.NoError(t, err)
		require.Equal(t, id, parsed)
	}
	require.NotContains(t, (Secret{1}).String(), "1")
	for _, text := range []string{"", "1", "1-", "-1", "1-2-3", "16777216-1", "x-1"} {
		_, err := ParseID(text)
		require.ErrorContains(t, err, "is no ID of a lease", text)
	}
}
