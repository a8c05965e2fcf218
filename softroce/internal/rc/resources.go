package rc

// resources is the ring of the peer's last READs and atomics: those that are
// being answered, and those whose answer may have to be sent again.
//
// The peer has at most Config.Resources of them outstanding, and a new one shows
// that it has the answer to the one that many before. So all that can be asked
// for again are here, and an atomic is never carried out twice.
type resources struct {
	entries []resource
	mask    uint32
	limit   uint32 // Config.Resources
	tail    uint32 // the next one to be added
	current uint32 // the oldest one that may have responses to be sent
}

// resource is a READ or an atomic that was carried out.
type resource struct {
	kind     resourceKind
	answered bool     // all responses were sent, at least once
	first    sequence // its packet numbers
	packets  uint32

	original uint64 // atomic: what was there before

	// READ: the memory that was asked for.
	va     uint64
	rkey   uint32
	length uint32

	// The answer that is being given: responses from to stop (exclusive), up to byte
	// until of a READ, of which next is to be sent now.
	from, next, stop sequence
	until            uint32
}

type resourceKind uint8

const (
	savedNothing resourceKind = iota
	savedRead
	savedAtomic
)

// answerFrom begins an answer of so many packets, anew if one is being given.
func (r *resource) answerFrom(psn sequence, packets, until uint32) {
	r.from, r.next, r.stop, r.until = psn, psn, psn+sequence(packets), until
}

func (s *resources) init(limit int) {
	size := ringSize(limit)
	s.entries = make([]resource, size)
	for i := range s.entries {
		s.entries[i].answered = true
	}
	s.mask, s.limit = uint32(size-1), uint32(limit)
}

func (s *resources) at(index uint32) *resource { return &s.entries[index&s.mask] }

// add makes room for one more, to be filled in; nil when the peer has too many
// outstanding.
func (s *resources) add() *resource {
	if !s.at(s.tail - s.limit).answered {
		return nil
	}
	if size := s.mask + 1; s.tail-s.current == size {
		s.current++ // it was being answered again, which the peer no longer needs
	}
	s.tail++
	return s.at(s.tail - 1)
}

// find looks for the one that a packet number belongs to.
func (s *resources) find(psn sequence) (r *resource, index uint32) {
	for i := range s.mask + 1 {
		index = s.tail - 1 - i
		if r = s.at(index); r.kind != savedNothing && psn >= r.first && psn-r.first < sequence(r.packets) {
			return r, index
		}
	}
	return nil, 0
}

// before is where the READs and atomics begin that end at a packet number, one
// after the other; that number if there are none. Those that are not here any more
// are not needed by the peer.
func (s *resources) before(end sequence) sequence {
	for i := range s.mask + 1 {
		r := s.at(s.tail - 1 - i)
		if r.kind == savedNothing || r.first+sequence(r.packets) != end {
			break
		}
		end = r.first
	}
	return end
}

// resume has one answered whose answer was begun again. Answers are given in the
// order of packet numbers, as the peer needs them in that order.
func (s *resources) resume(index uint32) {
	if int32(index-s.current) < 0 {
		s.current = index
	}
}

// answering reports whether there are responses to be sent.
func (s *resources) answering() bool {
	for ; s.current != s.tail; s.current++ {
		if r := s.first(); r.next != r.stop {
			return true
		}
	}
	return false
}

// first is the one to be answered now; answering has been asked.
func (s *resources) first() *resource { return s.at(s.current) }

// drop gives up all answers.
func (s *resources) drop() {
	for i := range s.entries {
		s.entries[i].next = s.entries[i].stop
	}
	s.current = s.tail
}
