package loopback_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// TestRaceDetectorSeesTheEnds runs a program that reads what its peer writes
// without waiting for a completion, and one that watches it with atomic loads.
func TestRaceDetectorSeesTheEnds(t *testing.T) {
	t.Parallel()
	if !effort.Race() {
		t.Skip("needs the race detector")
	}
	for _, c := range []struct {
		how  string
		race bool
	}{{"plain", true}, {"atomic", false}} {
		t.Run(c.how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestReadWhatIsWritten$")
			cmd.Env = append(os.Environ(), readHow+"="+c.how)
			out, err := cmd.CombinedOutput()
			if c.race {
				require.Error(t, err)
				require.Contains(t, string(out), "WARNING: DATA RACE")
			} else {
				require.NoError(t, err, "%s", out)
			}
		})
	}
}

const readHow = "LOOPBACK_TEST_READ"

func TestReadWhatIsWritten(t *testing.T) {
	how := os.Getenv(readHow)
	if how == "" {
		t.Skip("a program for TestRaceDetectorSeesTheEnds")
	}
	a, b := pairtest.New(t, "loopback:")
	from, to := a.Alloc(64, transport.LocalOnly), b.Alloc(64, transport.RemoteWrite)
	from.Uint64(56).Store(7)
	done := make(chan bool)
	go func() { // without the test's helpers, whose lock would order the two ends
		for how == "atomic" && to.Uint64(56).Load() != 7 {
		}
		var cs [1]transport.Completion
		n, err := b.Queue.Poll(cs[:]) // polling an empty queue orders nothing
		done <- n == 0 && err == nil && to.Bytes()[0] == 0
	}()
	time.Sleep(10 * time.Millisecond) // orders nothing, but lets the other end begin to watch
	_, err := a.Conn.Post(transport.Write(1, from.Span(0, 64), to.Remote(0, 64)))
	ok := <-done
	require.NoError(t, err)
	require.True(t, ok)
}
