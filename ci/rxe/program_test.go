package rxe_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

// program tries everything that a run promises. The output of its commands is in the folder
// $RXE_OUT, their status in NAME.status.
const program = `
check() { local name=$1; shift; "$@" > "$RXE_OUT/$name" 2>&1 < /dev/null; echo $? > "$RXE_OUT/$name.status"; }
cp "/proc/$$/environ" "$RXE_OUT/environment"
printf '%s\0' "$@" > "$RXE_OUT/arguments"
wc -c > "$RXE_OUT/stdin"
check folder pwd
check mask umask
check user id -u
check locked ulimit -l
check host hostname
check left sh -c 'echo from the program > left-here; cat left-here'
check state cat "/sys/class/infiniband/$RXE_DEVICE/ports/1/state"
check parent cat "/sys/class/infiniband/$RXE_DEVICE/parent"
check devices ibv_devices
check port ibv_devinfo -d "$RXE_DEVICE"
check netdev ip -br address show dev "$RXE_NETDEV"
check peer ip -n "$RXE_PEER_NAMESPACE" -br address show dev "$RXE_PEER_NETDEV"
check loopback ip -br address show dev lo
check peer-loopback ip -n "$RXE_PEER_NAMESPACE" -br address show dev lo
check mtu cat "/sys/class/net/$RXE_NETDEV/mtu"
check bind env RXE_TEST_BIND=1 "$SELF"
check peer-bind env RXE_TEST_BIND=1 ip netns exec "$RXE_PEER_NAMESPACE" "$SELF"
check netem tc qdisc replace dev "$RXE_NETDEV" root netem delay 1ms
check no-netem tc qdisc delete dev "$RXE_NETDEV" root
check nested "$SCRIPT" sh -c 'exit 12'

gid=0
until [ "$(< /sys/class/infiniband/$RXE_DEVICE/ports/1/gids/$gid)" = 0000:0000:0000:0000:0000:ffff:0a09:0001 ]; do gid=$((gid + 1)); done
retry() { local tries=0; until "$@" > "$RXE_OUT/last-try" 2>&1; do [ $((++tries)) -lt 100 ] || { cat "$RXE_OUT/last-try"; return 1; }; sleep 0.1; done; cat "$RXE_OUT/last-try"; }
check pingpong-server ibv_rc_pingpong -d "$RXE_DEVICE" -g "$gid" -n 100 &
check pingpong retry ibv_rc_pingpong -d "$RXE_DEVICE" -g "$gid" -n 100 "$RXE_ADDRESS"
wait
check rping-server rping -s -a "$RXE_ADDRESS" -C 10 &
check rping retry rping -c -a "$RXE_ADDRESS" -C 10
wait

trap : TERM
kill 0 # the process group is the program's own
trap - TERM
cat bytes.stdout
cat bytes.stderr >&2
printf 'again' > /dev/stdout
sleep 10000 & # would hold the output open
kill -SEGV $$
`

// theProgram runs program in one of the ways and checks the promises of docs/RXE.md. guest are
// the variables that only the guest has.
func theProgram(t *testing.T, way string, guest ...string) {
	needTools(t, "ibv_devices", "ibv_devinfo", "ibv_rc_pingpong", "rping", "tc", "hostname")
	folder, out := t.TempDir(), filepath.Join(t.TempDir(), "made, by the script")
	stdout, stderr := randomBytes(3<<20), randomBytes(1<<20)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "bytes.stdout"), stdout, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "bytes.stderr"), stderr, 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	arguments := []string{"two words", "", "new\nline", `"quotes' \ $HOME * `, "-n", "--", "\xff"}

	s := prepare(t, []string{"RXE_WAY=" + way, "RXE_TIMEOUT=500", "RXE_OUT=" + out, "SELF=" + self, "LINES=one\ntwo ", "EMPTY="},
		append([]string{"bash", "-c", program, "name"}, arguments...)...)
	s.Env = append(s.Env, "SCRIPT="+s.Path, "PWD="+folder)
	s.Path, s.Args = "/bin/sh", append([]string{"sh", "-c", `umask 027; ulimit -l 64; exec "$0" "$@"`}, s.Args...)
	s.Dir = folder
	s.Stdin = strings.NewReader("not for the program")
	require.Equal(t, 128+11, s.status(), "the program ends itself with SIGSEGV: %s", tail(&s.stderr))
	require.True(t, bytes.Equal(append(stdout, "again"...), s.stdout.Bytes()), "standard output is not exact: %d bytes", s.stdout.Len())
	require.True(t, bytes.Equal(stderr, s.stderr.Bytes()), "standard error is not exact: %d bytes, %s", s.stderr.Len(), tail(&s.stderr))

	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		return strings.TrimRight(string(content), "\n")
	}
	require.Equal(t, strings.Join(arguments, "\x00")+"\x00", read("arguments"))
	env := append(s.Env, "RXE_DEVICE=rxe0", "RXE_NETDEV=v0", "RXE_ADDRESS=10.9.0.1", "RXE_ADDRESS6=fd09::1",
		"RXE_PEER_NAMESPACE=peer", "RXE_PEER_NETDEV=v1", "RXE_PEER_ADDRESS=10.9.0.2", "RXE_PEER_ADDRESS6=fd09::2")
	require.Empty(t, cmp.Diff(variables(append(env, guest...)), variables(strings.Split(read("environment"), "\x00"))))

	host, err := os.Hostname()
	require.NoError(t, err)
	for name, want := range map[string]string{
		"stdin": "0", "folder": folder, "mask": "0027", "user": "0", "locked": "unlimited", "host": host,
		"left": "from the program", "state": "4: ACTIVE", "parent": "v0", "mtu": "4500", "peer-bind": "bound",
	} {
		require.Equal(t, want, read(name), name)
		require.Contains(t, []string{"0", ""}, status(t, out, name), name)
	}
	for name, want := range map[string][]string{
		"devices": {"rxe0"}, "port": {"PORT_ACTIVE", "active_mtu:\t\t4096"}, "loopback": {"127.0.0.1/8"}, "peer-loopback": {"127.0.0.1/8"},
		"netdev": {"v0@", "UP", "10.9.0.1/24", "fd09::1/64"}, "peer": {"v1@", "UP", "10.9.0.2/24", "fd09::2/64"},
		"netem": nil, "no-netem": nil, "pingpong": {"100 iters in"}, "pingpong-server": {"100 iters in"}, "rping": nil, "rping-server": nil,
	} {
		for _, part := range want {
			require.Contains(t, read(name), part, name)
		}
		require.Equal(t, "0", status(t, out, name), "%s: %s", name, read(name))
	}
	require.Contains(t, read("bind"), "address already in use", "the kernel's rxe has the port in this namespace")
	require.Equal(t, "12", status(t, out, "nested"), "a run inside of a run: %s", read("nested"))
	if len(guest) > 0 {
		require.NoFileExists(t, filepath.Join(folder, "left-here"), "files outside of RXE_OUT stay in the guest")
	}
}

// status is the status of a command of program; "" if it was not recorded.
func status(t *testing.T, out, name string) string {
	content, err := os.ReadFile(filepath.Join(out, name+".status"))
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(t, err)
	return strings.TrimSpace(string(content))
}

// variables is an environment as a map: the last value of a name counts.
func variables(env []string) map[string]string {
	m := map[string]string{}
	for _, variable := range env {
		if name, value, ok := strings.Cut(variable, "="); ok {
			m[name] = value
		}
	}
	return m
}

func randomBytes(n int) []byte {
	var seed [32]byte
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	return b
}

// tail is the end of an output, for messages.
func tail(output *bytes.Buffer) string {
	return string(output.Bytes()[max(0, output.Len()-2000):])
}
