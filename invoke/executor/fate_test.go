package executor

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// A process that runs out of memory takes its time to end, without its connections: that
// is no other reason than the memory.
func TestJudge(t *testing.T) {
	t.Parallel()
	for want, usage := range map[Cause]confine.Usage{OutOfMemory: {OOMKills: 1}, Disconnected: {}} {
		e := &Executor{progress: &progress{}}
		e.silenced.Store(true)
		require.Equal(t, want, e.judge(syscall.WaitStatus(syscall.SIGKILL), usage).Cause)
	}
}
