package softroce_test

import (
	"fmt"
	"log"

	_ "github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
)

// The package is imported for its side effect, and opened by URL: here at a port that
// the kernel chooses.
func Example() {
	device, err := transport.Open("softroce://127.0.0.1:0?mtu=1024")
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	caps := device.Capabilities()
	fmt.Println(device.Name(), caps.Wire)
	fmt.Println("between hosts:", caps.Features.Has(transport.FeatureCrossHost))
	fmt.Println("atomics:", caps.Ops.Has(transport.OpFetchAdd), caps.Features.Has(transport.FeatureAtomicsCoherent))
	// Output:
	// softroce rocev2-rc/1
	// between hosts: true
	// atomics: true true
}
