package manager

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"

	"github.com/rfaas-go/rfaas/internal/names"
)

// Limits of a Node. They let no string through that JSON would have to escape
// quotes or backslashes in, and so bound its encoding, too.
const (
	maxNameBytes    = 64 // of an ID, a label's name or value, a version
	maxAddresses    = 8
	maxAddressBytes = 260 // a host name of 253 bytes, a colon and a port
	maxUnixBytes    = 107 // sun_path without its zero
	maxSchemeBytes  = 32
	maxLabels       = 32
	maxCores        = 1 << 16
	maxMemoryBytes  = 1 << 50

	// maxNodeBytes bounds the JSON of a Node that Check lets through.
	maxNodeBytes = 8 << 10
)

// Node is what an agent says of its machine.
//
// Nodes that this package hands out share their addresses and labels: they are to
// be read only.
type Node struct {
	// ID names the node: 1 to 64 bytes of printable ASCII without spaces, commas,
	// quotes, slashes and backslashes, and not =, +, - or @ as the first one; neither . nor
	// .. is a name.
	ID string `json:"id"`
	// Epoch is the agent's boot epoch, at least 1: it grows with every start of the
	// agent.
	Epoch uint64 `json:"epoch"`
	// Addresses are where the agent listens, 1 to 8.
	Addresses []Address `json:"addresses"`
	// Admin is the URL at which the agent answers its owner: see agent.Agent.ServeHTTP.
	// Empty if it does not.
	Admin string `json:"admin,omitempty"`
	// Labels are the operator's words about the node, 32 at most. Names have 1 to 64
	// bytes and values 64 at most, of printable ASCII without quotes and backslashes.
	Labels map[string]string `json:"labels,omitempty"`
	// Cores is how many the agent leases, and FreeCores how many of them are free.
	Cores     int `json:"cores"`
	FreeCores int `json:"free_cores"`
	// MemoryBytes is how much the agent leases, and FreeBytes how much of it is free.
	MemoryBytes int64 `json:"memory_bytes"`
	FreeBytes   int64 `json:"free_bytes"`
	// Draining means that the node grants no more leases.
	Draining bool `json:"draining,omitempty"`
	// Version is that of the agent, for people: 64 bytes at most, as a label's value.
	Version string `json:"version,omitempty"`
}

// Address is where an agent listens and what is spoken there.
type Address struct {
	// Network is "tcp" or "unix".
	Network string `json:"network"`
	// Address is a host and a port, or a path from the root (or an abstract name,
	// with an @).
	Address string `json:"address"`
	// Transport is the URL scheme of the transport, such as "shm" or "softroce", for
	// people. A client needs one of the same Wire, which is what transport.Capabilities
	// says.
	Transport string `json:"transport"`
	Wire      string `json:"wire"`
	// TLS means that the stream is TLS.
	TLS bool `json:"tls,omitempty"`
}

// Check reports the first thing that is wrong with a node, and where.
func (n *Node) Check() error {
	if err := checkID(n.ID); err != nil {
		return err
	}
	if n.Epoch == 0 {
		return errors.New("epoch: is 0: must be the agent's boot epoch, 1 or more")
	}
	if err := n.checkAddresses(); err != nil {
		return err
	}
	if len(n.Admin) > maxAddressBytes {
		return fmt.Errorf("admin: has %d bytes: must have %d at most", len(n.Admin), maxAddressBytes)
	}
	if err := checkPrintable("admin", n.Admin); err != nil {
		return err
	}
	if err := n.checkLabels(); err != nil {
		return err
	}
	if err := checkText("version", n.Version, 0); err != nil {
		return err
	}
	return errors.Join(
		checkStock("cores", int64(n.Cores), "free_cores", int64(n.FreeCores), maxCores),
		checkStock("memory_bytes", n.MemoryBytes, "free_bytes", n.FreeBytes, maxMemoryBytes))
}

func checkID(id string) error {
	if err := names.Check(id); err != nil {
		return fmt.Errorf("id: %w", err)
	}
	return nil
}

// checkText checks what goes into JSON as it is.
func checkText(where, s string, minBytes int) error {
	if len(s) < minBytes || len(s) > maxNameBytes {
		return fmt.Errorf("%s: has %d bytes: must have %d to %d", where, len(s), minBytes, maxNameBytes)
	}
	return checkPrintable(where, s)
}

func checkPrintable(where, s string) error {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return fmt.Errorf("%s: byte %d is %q: must be printable ASCII without quotes and backslashes", where, i, c)
		}
	}
	return nil
}

func checkStock(where string, all int64, whereFree string, free, most int64) error {
	if all < 0 || all > most {
		return fmt.Errorf("%s: is %d: must be 0 to %d", where, all, most)
	}
	if free < 0 || free > all {
		return fmt.Errorf("%s: is %d: must be 0 to %d, which is %s", whereFree, free, all, where)
	}
	return nil
}

func (n *Node) checkAddresses() error {
	if len(n.Addresses) < 1 || len(n.Addresses) > maxAddresses {
		return fmt.Errorf("addresses: there are %d: must be 1 to %d", len(n.Addresses), maxAddresses)
	}
	for i, a := range n.Addresses {
		if err := a.check(); err != nil {
			return fmt.Errorf("addresses[%d].%w", i, err)
		}
	}
	return nil
}

func (a *Address) check() error {
	if len(a.Address) > maxAddressBytes {
		return fmt.Errorf("address: has %d bytes: must have %d at most", len(a.Address), maxAddressBytes)
	}
	if err := checkPrintable("address", a.Address); err != nil {
		return err
	}
	switch a.Network {
	case "tcp":
		host, port, err := net.SplitHostPort(a.Address)
		if n, notNumber := strconv.ParseUint(port, 10, 16); err != nil || notNumber != nil || n == 0 || host == "" {
			return fmt.Errorf("address: %q: must be host:port, as clients can dial it, with a port of 1 to 65535", a.Address)
		}
	case "unix":
		if len(a.Address) < 2 || len(a.Address) > maxUnixBytes || a.Address[0] != '/' && a.Address[0] != '@' {
			return fmt.Errorf("address: %q: must be a path that begins with / (or an abstract name with @), of %d bytes at most", a.Address, maxUnixBytes)
		}
	default:
		return fmt.Errorf("network: %q: must be tcp or unix", clip(a.Network))
	}
	if err := checkText("wire", a.Wire, 1); err != nil {
		return err
	}
	return checkScheme(a.Transport)
}

func checkScheme(s string) error {
	ok := s != "" && len(s) <= maxSchemeBytes && s[0] >= 'a' && s[0] <= 'z'
	for i := range len(s) {
		c := s[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')
	}
	if !ok {
		return fmt.Errorf("transport: %q: must be a URL scheme in lower case, such as softroce, of %d bytes at most", clip(s), maxSchemeBytes)
	}
	return nil
}

func (n *Node) checkLabels() error {
	if len(n.Labels) > maxLabels {
		return fmt.Errorf("labels: there are %d: must be %d at most", len(n.Labels), maxLabels)
	}
	for name, value := range n.Labels {
		if err := checkText(fmt.Sprintf("labels: the name %q", clip(name)), name, 1); err != nil {
			return err
		}
		if err := checkText("labels."+name, value, 0); err != nil {
			return err
		}
	}
	return nil
}

// clip shortens input that an error quotes.
func clip(s string) string {
	if len(s) > maxNameBytes {
		return s[:maxNameBytes] + "..."
	}
	return s
}

// clone copies a node with what it refers to. Empty lists are nil in it, so that
// equal sees no difference.
func (n *Node) clone() Node {
	c := *n
	c.Addresses = slices.Clone(n.Addresses)
	c.Labels = nil
	for name, value := range n.Labels {
		if c.Labels == nil {
			c.Labels = make(map[string]string, len(n.Labels))
		}
		c.Labels[name] = value
	}
	return c
}

// equal compares nodes that clone made.
func (n *Node) equal(other *Node) bool { return reflect.DeepEqual(n, other) }
