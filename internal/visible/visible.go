// Package visible makes untrusted texts visible: it escapes, as Go does, characters that could
// control a terminal or pretend to be a line of their own.
package visible

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s in visible characters and tabs.
func Text(s string) string {
	for _, r := range s {
		if !shown(r) || r == utf8.RuneError {
			return string(Append(nil, []byte(s)))
		}
	}
	return s
}

// Append appends Text of text to to.
func Append(to, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			to = fmt.Appendf(to, `\x%02x`, text[0])
		case shown(r):
			to = append(to, text[:n]...)
		default:
			to = append(to, strings.Trim(strconv.QuoteRune(r), "'")...)
		}
		text = text[n:]
	}
	return to
}

func shown(r rune) bool { return r == '\t' || unicode.IsPrint(r) }
