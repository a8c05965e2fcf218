package rc

// parts is the ring of the READ requests and atomics that are outstanding, oldest
// first. A long Read is asked for in parts, as many packets at a time as the
// window suggests; and when it is asked for again, then in the same parts: a
// responder knows the requests that it has carried out, and repeating a piece of
// one must not reach into the next.
type parts struct {
	ends   []sequence // the packet behind each
	mask   uint32
	head   uint32 // the oldest one
	cursor uint32 // the next one to be sent again; none if it is tail
	tail   uint32
}

func (p *parts) init(most int) {
	size := ringSize(most)
	p.ends = make([]sequence, size)
	p.mask = uint32(size - 1)
}

// count is how many are outstanding.
func (p *parts) count() int { return int(p.tail - p.head) }

// end is the packet behind the oldest one.
func (p *parts) end() sequence { return p.ends[p.head&p.mask] }

// sent adds one, up to end, that is sent for the first time.
func (p *parts) sent(end sequence) {
	p.ends[p.tail&p.mask] = end
	p.tail++
	p.cursor = p.tail
}

// goBack has all of them sent again.
func (p *parts) goBack() { p.cursor = p.head }

// next is the packet behind the next one to be sent again.
func (p *parts) next() sequence { return p.ends[p.cursor&p.mask] }

// sentAgain moves the cursor behind that.
func (p *parts) sentAgain() { p.cursor++ }

// answered removes the oldest one, which then is not sent again, either.
func (p *parts) answered() {
	if p.cursor == p.head {
		p.cursor++
	}
	p.head++
}

// goBackOne has the one that was sent last sent again, and returns its first
// packet, if its request does not begin behind it.
func (p *parts) goBackOne(request sequence) sequence {
	p.cursor--
	if p.cursor == p.head {
		return request
	}
	return max(request, p.ends[(p.cursor-1)&p.mask])
}
