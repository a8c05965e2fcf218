package accounting

import (
	"fmt"
	"strings"
)

// MaxNameBytes bounds the names of tenants and nodes.
const MaxNameBytes = 64

// CheckName checks the name of a tenant or a node. It has 1 to 64 characters of
// printable ASCII, no space, comma or quote, and does not begin with =, +, - or @: in
// tables it is one column, and spreadsheets take it for text.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name is empty: it must have 1 to %d characters", MaxNameBytes)
	case len(name) > MaxNameBytes:
		return fmt.Errorf("the name %.16q... has %d bytes: at most %d are allowed", name, len(name), MaxNameBytes)
	case strings.IndexByte("=+-@", name[0]) >= 0:
		return fmt.Errorf("the name %q begins with %q: spreadsheets take it for a formula", name, name[0])
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || strings.IndexByte(",\"'`", c) >= 0 {
			return fmt.Errorf("the name %q has the byte 0x%02x at %d: printable ASCII without space, comma and quotes is allowed", name, c, i)
		}
	}
	return nil
}
