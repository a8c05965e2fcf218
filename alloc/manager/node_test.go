package manager

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func testNode(id string, epoch uint64) Node {
	return Node{
		ID: id, Epoch: epoch, Cores: 4, FreeCores: 2, MemoryBytes: 1 << 30, FreeBytes: 1 << 20, Version: "v1",
		Addresses: []Address{{Network: "unix", Address: "/run/" + id, Transport: "shm", Wire: "shm/2"}},
	}
}

// largest is the node with the longest encoding that Check lets through.
func largest() Node {
	text := strings.Repeat("<", maxNameBytes)
	n := Node{
		ID: text, Epoch: 1<<64 - 1, Cores: maxCores, FreeCores: maxCores, Version: text,
		MemoryBytes: maxMemoryBytes, FreeBytes: maxMemoryBytes, Draining: true, Labels: map[string]string{},
	}
	for range maxAddresses {
		n.Addresses = append(n.Addresses, Address{"tcp", strings.Repeat("h", 254) + ":65535", strings.Repeat("s", maxSchemeBytes), text, true})
	}
	for i := range maxLabels {
		n.Labels[fmt.Sprintf("%02d", i)+text[2:]] = text
	}
	return n
}

func TestLargestNode(t *testing.T) {
	t.Parallel()
	n := largest()
	require.NoError(t, n.Check())
	require.Less(t, len(encode(n)), maxNodeBytes)
	require.Equal(t, n, must(decodeNode(encode(n))))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxNameBytes+1)
	for want, change := range map[string]func(*Node){
		"id: the name is empty":                       func(n *Node) { n.ID = "" },
		`id: the name ".." is`:                        func(n *Node) { n.ID = ".." },
		"epoch: is 0":                                 func(n *Node) { n.Epoch = 0 },
		"addresses: there are 0":                      func(n *Node) { n.Addresses = nil },
		"addresses: there are 9":                      func(n *Node) { n.Addresses = make([]Address, 9) },
		"addresses[0].address: has 300 bytes":         func(n *Node) { n.Addresses[0].Address = strings.Repeat("x", 300) },
		`addresses[0].address: byte 0 is '\x00'`:      func(n *Node) { n.Addresses[0].Address = "\x00x" },
		`addresses[0].network: "udp"`:                 func(n *Node) { n.Addresses[0].Network = "udp" },
		`addresses[0].address: "x": must be a path`:   func(n *Node) { n.Addresses[0].Address = "x" },
		`addresses[0].address: "/x": must be host`:    func(n *Node) { n.Addresses[0] = Address{"tcp", "/x", "shm", "w/1", false} },
		`addresses[0].address: ":1": must be host`:    func(n *Node) { n.Addresses[0] = Address{"tcp", ":1", "shm", "w/1", false} },
		`addresses[0].address: "h:0": must be host`:   func(n *Node) { n.Addresses[0] = Address{"tcp", "h:0", "shm", "w/1", false} },
		`addresses[0].wire: has 0 bytes: must have 1`: func(n *Node) { n.Addresses[0].Wire = "" },
		`addresses[0].transport: "": must be a URL`:   func(n *Node) { n.Addresses[0].Transport = "" },
		`addresses[0].transport: "Shm": must be`:      func(n *Node) { n.Addresses[0].Transport = "Shm" },
		"labels: there are 33":                        func(n *Node) { n.Labels = many(33) },
		`labels: the name "": has 0 bytes`:            func(n *Node) { n.Labels = map[string]string{"": "x"} },
		"labels.a: has 65 bytes":                      func(n *Node) { n.Labels = map[string]string{"a": long} },
		`labels.a: byte 0 is '\t'`:                    func(n *Node) { n.Labels = map[string]string{"a": "\t"} },
		"version: has 65 bytes":                       func(n *Node) { n.Version = long },
		"cores: is -1: must be 0 to 65536":            func(n *Node) { n.Cores, n.FreeCores = -1, 0 },
		"free_cores: is 5: must be 0 to 4":            func(n *Node) { n.FreeCores = 5 },
		"memory_bytes: is 2251799813685248: must be":  func(n *Node) { n.MemoryBytes = 2 << 50 },
		"free_bytes: is -1: must be 0":                func(n *Node) { n.FreeBytes = -1 },
	} {
		n := testNode("a", 1)
		require.NoError(t, n.Check())
		change(&n)
		require.ErrorContains(t, n.Check(), want)
	}
}

func many(count int) map[string]string {
	labels := map[string]string{}
	for i := range count {
		labels[fmt.Sprint(i)] = ""
	}
	return labels
}

func TestDecodeNodeRefuses(t *testing.T) {
	t.Parallel()
	good := string(encode(testNode("a", 1)))
	for body, want := range map[string]string{
		"":                                "it is empty",
		"null":                            "id: the name is empty",
		"[]":                              "not a node in JSON",
		good + "x":                        "something follows the node",
		good + good:                       "something follows the node",
		good[:len(good)-1]:                "not a node in JSON",
		`{"colour":1,` + good[1:]:         `unknown field "colour"`,
		`{"id":"b","epoch":-1}`:           "epoch",
		`{"cores":1e99}`:                  "cores",
		strings.Repeat("[", 1000):         "not a node in JSON",
		`{"labels":{"a":{"b":"c"}}}`:      "labels",
		`{"id":"` + "\xff" + `"}`:         "id: the name",
		strings.Replace(good, "4", "", 1): "not a node",
	} {
		_, err := decodeNode([]byte(body))
		require.ErrorContains(t, err, want, body)
	}
}

func FuzzDecodeNode(f *testing.F) {
	f.Add(encode(testNode("a", 1)))
	f.Add(encode(largest()))
	f.Add([]byte(`{"id":"a","addresses":[{"network":"tcp","address":"[::1]:1","transport":"softroce","wire":"w/1","tls":true}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := decodeNode(data)
		if err != nil {
			return
		}
		encoded := encode(n)
		require.Less(t, len(encoded), maxNodeBytes)
		require.Equal(t, n, must(decodeNode(encoded)))
	})
}

func FuzzDecodeLine(f *testing.F) {
	r := NewRegistry(1)
	require.NoError(f, r.Register(0, testNode("a", 1), 1))
	require.NoError(f, r.Register(0, largest(), 1))
	for _, c := range r.log {
		f.Add(c.line)
	}
	f.Add([]byte(`{"revision":18446744073709551615}`))
	f.Add([]byte(`{"revision":1,"kind":"other"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeLine(data)
		if err != nil {
			return
		}
		if c.Kind == "" {
			require.Equal(t, Change{Revision: c.Revision}, c)
			return
		}
		require.Equal(t, c, must(decodeLine(encode(c))))
	})
}
