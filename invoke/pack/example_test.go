package pack_test

import (
	"fmt"

	"github.com/rfaas-go/rfaas/invoke/pack"
)

// A manifest describes a package. Missing fields get their defaults.
func ExampleParseManifest() {
	m, err := pack.ParseManifest([]byte(`{
		"format": 1, "name": "resize", "version": "1.2.0", "runtime": "wasm", "module": "resize.wasm",
		"functions": [{"name": "thumbnail", "idempotent": true}], "time_limit": "2s"
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Name, m.Version, m.Runtime, m.TimeLimit, m.Functions[0].Name)
	_, err = pack.ParseManifest([]byte(`{"format": 2}`))
	fmt.Println(err != nil)
	// Output:
	// resize 1.2.0 wasm 2s thumbnail
	// true
}
