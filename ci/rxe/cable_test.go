package rxe_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// overTheCable sends messages from each device to the other, with every kind of address, and
// with rdma_cm. NAME.packets has the numbers of packets that each end of the cable had sent
// before and after.
const overTheCable = `
packets() { echo "$(< "/sys/class/net/$RXE_NETDEV/statistics/tx_packets") $(< "/sys/class/net/$RXE_PEER_NETDEV/statistics/tx_packets")"; }
retry() { local tries=0; until "$@" > "$RXE_OUT/last-try" 2>&1; do [ $((++tries)) -lt 100 ] || { cat "$RXE_OUT/last-try"; return 1; }; sleep 0.1; done; }
# gid is the index of an address of a device, in the notation of its list.
gid() { local i=0; until [[ $(< "/sys/class/infiniband/$1/ports/1/gids/$i") == $2 ]]; do [ $((++i)) -lt 16 ] || return; done; echo $i; }
pingpong() { # NAME SERVER-DEVICE GID CLIENT-DEVICE GID
	packets > "$RXE_OUT/$1.packets"
	ibv_rc_pingpong -d "$2" -g "$3" -n 100 > "$RXE_OUT/$1.server" 2>&1 & 
	retry ibv_rc_pingpong -d "$4" -g "$5" -n 100 127.0.0.1 && wait $! || { echo "$1 fails"; cat "$RXE_OUT/$1.server"; exit 1; }
	packets >> "$RXE_OUT/$1.packets"
}
cp "/proc/$$/environ" "$RXE_OUT/environment"
for address in ipv4:*:ffff:0a09:000? ipv6:fd09:* link-local:fe80:*; do
	a=$(gid "$RXE_DEVICE" "${address#*:}") && b=$(gid "$RXE_PEER_DEVICE" "${address#*:}") || exit
	pingpong "${address%%:*}" "$RXE_PEER_DEVICE" "$b" "$RXE_DEVICE" "$a"
	pingpong "${address%%:*}-back" "$RXE_DEVICE" "$a" "$RXE_PEER_DEVICE" "$b"
done
packets > "$RXE_OUT/rdma_cm.packets"
rping -s -a "$RXE_PEER_ADDRESS" -C 50 &
retry rping -c -I "$RXE_ADDRESS" -a "$RXE_PEER_ADDRESS" -C 50 && wait $! || exit
packets >> "$RXE_OUT/rdma_cm.packets"
`

// theCable runs overTheCable in one of the ways and checks that all of it crossed the cable.
func theCable(t *testing.T, way string, more ...string) {
	t.Helper()
	needTools(t, "ibv_rc_pingpong", "rping")
	out := t.TempDir()
	s := prepare(t, append(more, "RXE_WAY="+way, "RXE_TIMEOUT=500", "RXE_DEVICES=2", "RXE_OUT="+out), "bash", "-c", overTheCable)
	require.Equal(t, 0, s.status(), "%s%s", tail(&s.stdout), tail(&s.stderr))
	for _, name := range []string{"ipv4", "ipv4-back", "ipv6", "ipv6-back", "link-local", "link-local-back", "rdma_cm"} {
		content, err := os.ReadFile(filepath.Join(out, name+".packets"))
		require.NoError(t, err)
		var counts []int
		for _, field := range strings.Fields(string(content)) {
			n, err := strconv.Atoi(field)
			require.NoError(t, err)
			counts = append(counts, n)
		}
		require.Len(t, counts, 4)
		t.Logf("%s: %d packets one way, %d the other", name, counts[2]-counts[0], counts[3]-counts[1])
		require.GreaterOrEqual(t, counts[2]-counts[0], 50, name)
		require.GreaterOrEqual(t, counts[3]-counts[1], 50, name)
	}
	content, err := os.ReadFile(filepath.Join(out, "environment"))
	require.NoError(t, err)
	environ := variables(strings.Split(string(content), "\x00"))
	require.Equal(t, "rxe1", environ["RXE_PEER_DEVICE"])
	require.Equal(t, "v1", environ["RXE_PEER_NETDEV"])
	require.NotContains(t, environ, "RXE_PEER_NAMESPACE")
}

func TestTwoDevicesInGuest(t *testing.T) {
	startsGuest(t)
	theCable(t, "guest")
}
