package verbs_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/verbs"
)

// The package is imported for its side effect, and opened by URL: here the first device with
// an active port. It is not run as a test, since it says something else on every machine;
// without a device, what is missing.
func Example() {
	device, err := transport.Open("verbs:")
	if errors.Is(err, transport.ErrNotSupported) {
		fmt.Println("no RDMA here:", err)
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	defer device.Close()
	capabilities := device.Capabilities()
	fmt.Println(device.Name(), "speaks", capabilities.Wire)
	for _, note := range capabilities.Notes { // which port, which GID, and why
		fmt.Println(note)
	}
}
