package remote_test

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/remote"
)

// Two patterns of which no half is the other's.
const (
	oneWord   = 0x0123456789abcdef
	otherWord = ^uint64(oneWord)
)

// writeWords writes words of one pattern and of the other in turn, until look, which
// is called over and over meanwhile, has failed or both have had their rounds. It
// writes at every offset, and in every number that there is room for.
func writeWords(t *testing.T, m *remote.Memory, o *owner, look func(round int) bool) {
	var written atomic.Int64
	var done atomic.Bool
	var writing sync.WaitGroup
	writing.Go(func() {
		for round := 0; !done.Load(); round++ {
			if !writeRound(t, m, o, round) {
				return
			}
			written.Add(1)
		}
	})
	least := wordRounds
	if !o.dev.Capabilities().Features.Has(transport.FeatureWatchMemory) {
		least /= 20 // each takes round trips
	}
	for round := 0; !t.Failed() && (int64(round) < wordRounds || written.Load() < least); round++ {
		if !look(round) {
			break
		}
	}
	done.Store(true)
	writing.Wait()
}

// wordRounds is how often at least.
var wordRounds = int64(effort.Of(1000, 20000))

func writeRound(t *testing.T, m *remote.Memory, o *owner, round int) bool {
	word, size := uint64(oneWord), o.region.Len()
	if round%2 == 1 {
		word = otherWord
	}
	first := round % (size / 8) * 8
	buf := make([]byte, size-first)
	for at := 0; at < len(buf); at += 8 {
		binary.NativeEndian.PutUint64(buf[at:], word)
	}
	err := m.Write(soon(t), o.region.Remote(first, len(buf)), buf)
	if err != nil {
		t.Error(err)
	}
	return err == nil
}

// torn returns a word that is of neither pattern, if there is one.
func torn(words []byte) (word uint64, ok bool) {
	for ; len(words) >= 8; words = words[8:] {
		if word = binary.NativeEndian.Uint64(words); word != oneWord && word != otherWord {
			return word, true
		}
	}
	return 0, false
}

// ownWords is an owner's memory full of one pattern.
func ownWords(t *testing.T, url string) *owner {
	o := newOwner(t, url, 8192, transport.RemoteAll)
	for at := 0; at < o.region.Len(); at += 8 {
		o.region.Uint64(at).Store(oneWord)
	}
	return o
}

func (o *owner) memory(t *testing.T, url string) *remote.Memory {
	dev, err := transport.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { dev.Close() })
	m, _ := o.connect(t, dev, remote.Config{BufferBytes: 1001}) // which is 1000
	return m
}

// A Read while a Write of another connection to the same bytes is under way sees each
// aligned word as it was before or as it is after, whatever it sees of the others.
func TestWordsAreNotTorn(t *testing.T) {
	over(t, func(t *testing.T, url string) {
		if effort.Race() && url == "loopback:" {
			t.Skip("the race detector reports what this test does: see the package comment of loopback")
		}
		o := ownWords(t, url)
		reader, writer := o.memory(t, url), o.memory(t, url)
		buf := make([]byte, o.region.Len())
		writeWords(t, writer, o, func(round int) bool {
			first := round % 100 * 8
			part := buf[first:]
			if err := reader.Read(soon(t), part, o.region.Remote(first, len(part))); err != nil {
				t.Error(err)
				return false
			}
			word, ok := torn(part)
			if ok {
				t.Errorf("round %d: a word is %#x", round, word)
			}
			return !ok
		})
	})
}

// So does the owner itself, with atomic loads.
func TestWordsAreNotTornForTheOwner(t *testing.T) {
	over(t, func(t *testing.T, url string) {
		if effort.Race() && url == "loopback:" {
			t.Skip("the race detector reports what this test does: see the package comment of loopback")
		}
		o := ownWords(t, url)
		writeWords(t, o.memory(t, url), o, func(round int) bool {
			for at := 0; at < o.region.Len(); at += 8 {
				if word := o.region.Uint64(at).Load(); word != oneWord && word != otherWord {
					t.Errorf("round %d: the word at %d is %#x", round, at, word)
					return false
				}
			}
			return true
		})
	})
}

// An atomic of the peer, one of another peer and the owner's own exclude each other.
func TestAtomicTowardsAll(t *testing.T) {
	over(t, func(t *testing.T, url string) {
		o := newOwner(t, url, 8, transport.RemoteAll)
		if !o.dev.Capabilities().Features.Has(transport.FeatureAtomicsCoherent) {
			t.Skip("the processor's atomics are not among those of the device (FeatureAtomicsCoherent)")
		}
		const each = 50
		var adding sync.WaitGroup
		for range 2 {
			m := o.memory(t, url)
			adding.Go(func() {
				for range each {
					if _, err := m.FetchAdd(soon(t), o.all(), 1); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range each {
			o.region.Uint64(0).Add(1)
		}
		adding.Wait()
		require.EqualValues(t, 3*each, o.region.Uint64(0).Load())
	})
}
