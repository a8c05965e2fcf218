package loopback_test

import (
	"errors"
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

// TestRevokeUnderLoad: a region is closed while peers write to it and others
// come and go. Under the race detector, what they would write afterwards is seen.
func TestRevokeUnderLoad(t *testing.T) {
	t.Parallel()
	for i := range 50 {
		a, b := pairtest.New(t, "loopback:")
		if i%2 == 1 {
			a, b = b, a
		}
		from, to := a.Alloc(256, transport.LocalOnly), b.Alloc(256, transport.RemoteWrite)
		span, started := to.Remote(0, 256), make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				if i == 10 {
					close(started)
				}
				_, err := a.Conn.Post(transport.Write(1, from.Span(0, 256), span).With(transport.Signaled))
				if err != nil {
					ended <- err
					return
				}
				var cs [1]transport.Completion
				if _, err := a.Queue.Poll(cs[:]); err != nil || cs[0].Status != transport.StatusOK {
					ended <- errors.Join(err, cs[0].Err())
					return
				}
			}
		}()
		<-started
		memory := to.Bytes()
		require.NoError(t, to.Close())
		if effort.Race() { // else it is unmapped
			memory[0]++
		}
		var failure *transport.StatusError
		require.ErrorAs(t, <-ended, &failure)
		require.Equal(t, transport.StatusRemoteAccess, failure.Status)
	}
}
