package words

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	_ "github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
)

// An agent that knows the keys of another one's words can neither read nor add to them:
// they are of another protection domain.
func TestWordsOfOthers(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"loopback:", "shm:", "softroce:"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			b := newBank(t, url, 5*time.Millisecond)
			victim := newReporter(b, "victim") // so that there is something to read, and to add to
			require.NoError(t, victim.connect(t.Context()))
			require.NoError(t, victim.tell(t.Context()))
			for _, op := range []string{"add", "read", "write"} {
				r := newReporter(b, "attacker")
				require.NoError(t, r.connect(t.Context()))
				require.NotEqual(t, victim.words.Key, r.words.Key)
				target := victim.words
				target.Len = 8
				span := r.region.Span(rowAt, 8)
				requests := map[string]transport.WorkRequest{
					"add":   transport.FetchAdd(1, span, target, 1000),
					"read":  transport.Read(1, span, target),
					"write": transport.Write(1, span, target),
				}
				wr := requests[op]
				wr = wr.With(transport.Signaled)
				_, err := r.conn.Post(wr)
				require.NoError(t, err)
				var done [1]transport.Completion
				n, err := r.queue.Wait(t.Context(), done[:], transport.Warm)
				require.NoError(t, err)
				require.Equal(t, 1, n)
				require.Equal(t, transport.StatusRemoteAccess, done[0].Status, op)
				require.NoError(t, r.free())
			}
			require.NoError(t, victim.tell(t.Context()), "it continues")
			require.NoError(t, victim.free())
			b.stop(false)
			require.Equal(t, map[account][kinds]accounting.Usage{{1, "victim"}: {{5}}}, b.totals())
		})
	}
}

func newReporter(b *bank, node string) *reporter {
	return &reporter{cfg: &ReporterConfig{
		Device: b.device, Node: node, Epoch: 1, Logger: log(b.t),
		Accounts: func() []Account { return []Account{{Epoch: 1, Tenant: node, Measured: accounting.Usage{5}}} },
		Dial:     func(context.Context) (net.Conn, error) { return net.Dial("unix", b.addr) },
	}, told: map[account]*row{}}
}
