package pages

import "encoding/binary"

// Place copies src to dst, of equal length, as copy does; but dst's last word,
// if aligned, is stored last and atomically, for programs that watch it. src's
// last word is loaded atomically if aligned: it may be a counter in use.
func Place(dst, src []byte) {
	head := len(dst) - 8
	if head < 0 {
		copy(dst, src)
		return
	}
	to := Word(dst[head:])
	if to == nil {
		copy(dst, src)
		return
	}
	last := LoadWord(src[head:]) // before copy, which may overwrite it
	copy(dst[:head], src[:head])
	to.Store(last)
}

// LoadWord is the word at the beginning of mem, loaded atomically if aligned.
func LoadWord(mem []byte) uint64 {
	if word := Word(mem); word != nil {
		return word.Load()
	}
	return binary.NativeEndian.Uint64(mem)
}
