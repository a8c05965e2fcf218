package job

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc"
)

// A worker that was lost is told by its process, or by its node, which alone knows the process.
func TestLossOf(t *testing.T) {
	t.Parallel()
	c := &Config{}
	require.Equal(t, "worker process 17 was lost: gone", c.lossOf(&alloc.LostError{Node: "n1", Process: 17, How: "gone"}))
	require.Equal(t, "a worker at node n1 was lost: gone", c.lossOf(&alloc.LostError{Node: "n1", How: "gone"}))
}
