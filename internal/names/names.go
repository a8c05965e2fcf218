// Package names says what tenants and nodes can be called, wherever that is said: in
// messages, URLs, files and tables.
package names

import (
	"fmt"
	"strings"
)

// MaxBytes bounds the names of tenants and nodes.
const MaxBytes = 64

// Check checks the name of a tenant or a node. It has 1 to 64 characters of printable
// ASCII, no space, comma, quote or slash, does not begin with =, +, - or @, and is neither
// . nor ..: in tables it is one column, spreadsheets take it for text, and it is one part
// of a path.
func Check(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty: it must have 1 to %d characters", MaxBytes)
	case len(name) > MaxBytes:
		return fmt.Errorf("the name %.16q... has %d bytes: at most %d are allowed", name, len(name), MaxBytes)
	case name == "." || name == "..":
		return fmt.Errorf("the name %q is what paths have for folders: choose another", name)
	case strings.IndexByte("=+-@", name[0]) >= 0:
		return fmt.Errorf("the name %q begins with %q: spreadsheets take it for a formula", name, name[0])
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || strings.IndexByte(",\"'`/\\", c) >= 0 {
			return fmt.Errorf("the name %q has the byte 0x%02x at %d: printable ASCII without space, comma, quotes and slashes is allowed", name, c, i)
		}
	}
	return nil
}
