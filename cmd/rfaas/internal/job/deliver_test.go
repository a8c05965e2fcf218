package job

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Results come in any order, some do not come at all, and they are written in
// the order of the inputs.
func TestStreamKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const count = 200
	var out, want bytes.Buffer
	s := newStream(&out)
	var delivering sync.WaitGroup
	for _, i := range rand.Perm(count) {
		delivering.Go(func() {
			in := &Input{turn: i}
			if i%7 == 0 {
				s.skip(in)
				return
			}
			result := []byte(fmt.Sprintf("result %d\n", i))
			if err := s.deliver(in, result); err != nil {
				t.Error(err)
			}
			clear(result) // it is the caller's again
		})
	}
	ended := make(chan struct{})
	go func() {
		delivering.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("a delivery waits for ever")
	}
	for i := range count {
		if i%7 != 0 {
			fmt.Fprintf(&want, "result %d\n", i)
		}
	}
	require.Equal(t, want.String(), out.String())
}
