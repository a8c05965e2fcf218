package simnet

// buffers keeps the memory of datagrams that have arrived, for others.
type buffers struct{ spare [][]byte }

func (b *buffers) take() []byte {
	last := len(b.spare) - 1
	if last < 0 {
		return nil
	}
	buffer := b.spare[last]
	b.spare = b.spare[:last]
	return buffer
}

func (b *buffers) give(buffer []byte) { b.spare = append(b.spare, buffer[:0]) }
