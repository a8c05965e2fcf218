package pages_test

import (
	"bytes"
	"testing"

	"github.com/rfaas-go/rfaas/internal/pages"
)

// TestPlaceOverlapping: source and destination may overlap, as for copy.
func TestPlaceOverlapping(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		for shift := range 20 {
			for _, forward := range []bool{false, true} {
				got, want := make([]byte, 64), make([]byte, 64)
				for i := range got {
					got[i], want[i] = byte(i), byte(i)
				}
				from, to := 0, shift
				if forward {
					from, to = shift, 0
				}
				copy(want[to:][:n], want[from:][:n])
				pages.Place(got[to:][:n], got[from:][:n])
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes from %d to %d: got %v", n, from, to, got)
				}
			}
		}
	}
}
