package all_test

import (
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

// A program that imports the package opens whatever its user names, and with the decorators
// that the URL has.
func Example() {
	for _, url := range []string{"loopback:", "shm:", "softroce://127.0.0.1:0", "trace+faulty+shm:?seed=1"} {
		device, err := transport.Open(url)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(device.Name(), "between hosts:", device.Capabilities().Features.Has(transport.FeatureCrossHost))
		if err := device.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// loopback between hosts: false
	// shm between hosts: false
	// softroce between hosts: true
	// trace+faulty+shm between hosts: false
}
