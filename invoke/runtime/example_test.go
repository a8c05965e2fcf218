package runtime_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"maps"
	"slices"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// A runtime of a program's own, whose modules are tables of Go functions. An executor loads
// them if its Host has this runtime.
func Example() {
	var m runtime.Module = table{
		"upper": func(_ context.Context, in, out []byte) (int, error) { return copy(out, bytes.ToUpper(in)), nil },
	}
	defer m.Close()
	upper, err := m.Function("upper")
	if err != nil {
		log.Fatal(err)
	}
	out := make([]byte, 100)
	n, err := upper(context.Background(), []byte("hello"), out)
	fmt.Println(string(out[:n]), err)
	_, err = m.Function("lower")
	fmt.Println(err)
	// Output:
	// HELLO <nil>
	// there is no "lower", only [upper]
}

type table map[string]invoke.Function

// Function implements runtime.Module.
func (t table) Function(entry string) (invoke.Function, error) {
	f, ok := t[entry]
	if !ok {
		return nil, fmt.Errorf("there is no %q, only %v", entry, slices.Sorted(maps.Keys(t)))
	}
	return f, nil
}

// Close implements runtime.Module.
func (t table) Close() error { return nil }
