package executor

import (
	"os"
	"time"

	"github.com/rfaas-go/rfaas/invoke/runtime"
)

const (
	// cancelGrace is how long a function may go on with a call whose caller has given it
	// up: native code does not look at a context.
	cancelGrace = 250 * time.Millisecond
	// exitGivenUp is the exit status of an executor that has ended for that.
	exitGivenUp = 125
)

// canceled ends a call that nobody waits for any more, or this process: the caller's next
// calls are for another one.
func (x *execution) canceled(running func() bool) {
	if m, ok := x.module.(runtime.ContextChecker); ok {
		m.CheckContexts()
	}
	time.AfterFunc(cancelGrace, func() {
		if running() {
			os.Exit(exitGivenUp)
		}
	})
}
