package rxe_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/softroce/rxe"
)

// A program makes an RDMA device on a network interface, lists what there is, and removes
// it. It is not run as a test, since it takes a kernel with rdma_rxe, and root.
func Example() {
	err := rxe.Add("rxe0", "eth0")
	switch {
	case errors.Is(err, rxe.ErrExist):
		// It is there already, and stays.
	case err != nil: // and says what to do about it
		log.Fatal(err)
	default:
		defer func() {
			if err := rxe.Delete("rxe0"); err != nil {
				log.Print(err)
			}
		}()
	}
	links, err := rxe.List()
	if err != nil {
		log.Print(err)
	}
	for _, link := range links {
		fmt.Println(link.Name, link.Interface, link.State, "rxe:", link.IsRxe())
		for _, gid := range link.GIDs {
			fmt.Println(gid.Index, gid.Address, gid.Type)
		}
	}
}
