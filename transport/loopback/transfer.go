package loopback

import "github.com/rfaas-go/rfaas/internal/pages"

// transfer copies src to the beginning of dst, which is at least as long. It returns
// the fault that ended it, nil if there was none.
func transfer(dst, src segments) *pages.Fault {
	return pages.Guard(func() { transferUnguarded(dst, src) })
}

func transferUnguarded(dst, src segments) {
	to, rest := dst[0], dst[1]
	for _, from := range src {
		for len(from) > 0 {
			if len(to) == 0 {
				to, rest = rest, nil
			}
			n := min(len(to), len(from))
			pages.Place(to[:n], from[:n])
			to, from = to[n:], from[n:]
		}
	}
}
