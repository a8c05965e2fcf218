package elffile

import (
	"slices"
	"strconv"
	"strings"
)

// Mangled reports whether a symbol's name is one that a compiler of C++ or Rust has made.
func Mangled(name string) bool {
	if rest, ok := strings.CutPrefix(name, "_R"); ok { // C reserves the name for compilers, too
		return rest != "" && (rest[0] >= 'A' && rest[0] <= 'Z' || rest[0] >= '0' && rest[0] <= '9')
	}
	return strings.HasPrefix(name, "_Z")
}

// MangledAs returns the mangled one of some names that a function seems to have in place of
// its own, and "" if there is none.
func MangledAs(function string, names []string) string {
	part := strconv.Itoa(len(function)) + function // identifiers follow their lengths
	i := slices.IndexFunc(names, func(name string) bool {
		at := strings.Index(name, part)
		return function != "" && Mangled(name) && at > 0 && (name[at-1] < '0' || name[at-1] > '9')
	})
	if i < 0 {
		return ""
	}
	return names[i]
}

// Unmangle says how a function gets its own name in place of a mangled one.
const Unmangle = `declare it extern "C" (in Rust: #[no_mangle] pub extern "C" fn)`
