package all_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/all"
)

// A notice reaches a peer that looks at none of its queues, in whichever direction, and
// costs one nothing that does not want it.
func TestNotify(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"loopback:", "shm:", "softroce:"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			a, b := pairtest.NewEnd(t, url), pairtest.NewEnd(t, url)
			heard := make(chan string, 2)
			deaf, hearing := a.Config(), b.Config()
			hearing.Notified = func(msg []byte) { heard <- string(msg) }
			l, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
			require.NoError(t, err)
			defer l.Close()
			sa, err := net.Dial("unix", l.Addr().String())
			require.NoError(t, err)
			sb, err := l.Accept()
			require.NoError(t, err)
			a.Conn, b.Conn = pairtest.ConnectOver(t, a, b, deaf, hearing, sa, sb)
			require.NoError(t, b.Conn.Notify([]byte("to nobody")))
			longest := strings.Repeat("x", transport.MaxNoticeBytes)
			for _, msg := range []string{"hello", "", longest} {
				require.NoError(t, a.Conn.Notify([]byte(msg)))
				select {
				case got := <-heard:
					require.Equal(t, msg, got)
				case <-time.After(pairtest.Patience):
					require.Fail(t, "it was not heard")
				}
			}
			require.ErrorIs(t, a.Conn.Notify([]byte(longest+"x")), transport.ErrOutOfRange)
			require.NoError(t, a.Conn.Err())
			require.NoError(t, b.Conn.Err())
		})
	}
}
