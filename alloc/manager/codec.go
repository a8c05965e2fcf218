package manager

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// encode is a value's JSON on one line, without its end. Nothing is escaped for
// HTML, which would lengthen it beyond maxNodeBytes.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // none of this package's types can fail to encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// decodeNode reads a node that is all of data, and checks it. What is not of a node
// is refused: an agent that says more than this manager understands is to know.
func decodeNode(data []byte) (Node, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var n Node
	if err := d.Decode(&n); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return Node{}, fmt.Errorf("not a node in JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Node{}, errors.New("something follows the node: remove it")
	}
	n = n.clone()
	return n, n.Check()
}

// decodeLine reads a line of a watch, and checks it. A heartbeat has no Kind.
// Fields that are unknown are passed over: a manager may be newer than its clients.
func decodeLine(data []byte) (Change, error) {
	var c Change
	if err := json.Unmarshal(data, &c); err != nil {
		return Change{}, fmt.Errorf("line of a watch: %w", err)
	}
	switch c.Kind {
	case "":
		return Change{Revision: c.Revision}, nil
	case Added, Changed, Draining, Gone:
	default:
		return Change{}, fmt.Errorf("line of a watch: kind %q is unknown", clip(string(c.Kind)))
	}
	c.Node = c.Node.clone()
	if err := c.Node.Check(); err != nil {
		return Change{}, fmt.Errorf("line of a watch: node %q: %w", clip(c.Node.ID), err)
	}
	return c, nil
}

// formatLife and parseLife are the id of a manager's life in JSON and URLs: a
// string, because not every reader of JSON has integers of 64 bits.
func formatLife(life uint64) string { return fmt.Sprintf("%016x", life) }

func parseLife(s string) (uint64, error) {
	life, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("life: %q: must be 16 hexadecimal digits, as GET /v1/nodes says", clip(s))
	}
	return life, nil
}
