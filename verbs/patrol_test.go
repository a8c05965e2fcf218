package verbs

import (
	"math/rand/v2"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A device is closed at any moment of a patrol, which asks it things.
func TestClosedAtThePatrolsTick(t *testing.T) {
	name := os.Getenv("RXE_DEVICE")
	if name == "" {
		t.Skip("RXE_DEVICE does not name an RDMA device: run this with ci/rxe/run (go test -exec)")
	}
	const interval = 50 * time.Microsecond // less than a look at the port takes
	for range 200 {
		a, err := open(&url.URL{Scheme: "verbs", Host: name}, interval)
		require.NoError(t, err)
		for end := time.Now().Add(rand.N(10 * interval)); time.Now().Before(end); { // sleeping would end with a tick
		}
		require.NoError(t, a.Close())
	}
}
