package loopback

import (
	"encoding/binary"

	"github.com/rfaas-go/rfaas/internal/pages"
)

// transfer copies src to the beginning of dst, which is at least as long.
func transfer(dst, src segments) {
	to, rest := dst[0], dst[1]
	for _, from := range src {
		for len(from) > 0 {
			if len(to) == 0 {
				to, rest = rest, nil
			}
			n := min(len(to), len(from))
			place(to[:n], from[:n])
			to, from = to[n:], from[n:]
		}
	}
}

// place copies src to dst, of equal length, as copy does; but dst's last word,
// if aligned, is stored last and atomically, for programs that watch it. src's
// last word is loaded atomically if aligned: it may be a counter in use.
func place(dst, src []byte) {
	head := len(dst) - 8
	if head < 0 {
		copy(dst, src)
		return
	}
	to := pages.Word(dst[head:])
	if to == nil {
		copy(dst, src)
		return
	}
	last := loadWord(src[head:]) // before copy, which may overwrite it
	copy(dst[:head], src[:head])
	to.Store(last)
}

// loadWord is the word at the beginning of mem, loaded atomically if aligned.
func loadWord(mem []byte) uint64 {
	if word := pages.Word(mem); word != nil {
		return word.Load()
	}
	return binary.NativeEndian.Uint64(mem)
}
