package shm_test

import (
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// The package is imported for its side effect, and opened by URL. Peers connect over
// Unix sockets, which carry the descriptors of the memory.
func Example() {
	device, err := transport.Open("shm:")
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	features := device.Capabilities().Features
	fmt.Println("between processes:", features.Has(transport.FeatureCrossProcess))
	fmt.Println("between hosts:", features.Has(transport.FeatureCrossHost))
	fmt.Println("over Unix sockets only:", features.Has(transport.FeatureUnixSocket))
	// Output:
	// between processes: true
	// between hosts: false
	// over Unix sockets only: true
}
