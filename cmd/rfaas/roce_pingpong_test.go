package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const pingpongAddress = `  %s address: +LID 0x0000, QPN 0x([0-9a-f]{6}), PSN 0x([0-9a-f]{6}), GID (\S+)\n`

var (
	pingpongListening = regexp.MustCompile(`(?m)^  listening:      TCP port (\d+)$`)
	pingpongOutput    = regexp.MustCompile(`^(?:  listening:      TCP port \d+\n)?` +
		fmt.Sprintf(pingpongAddress, "local") + fmt.Sprintf(pingpongAddress, "remote") +
		`(\d+) bytes in \d+\.\d\d seconds = \d+\.\d\d Mbit/sec\n(\d+) iters in \d+\.\d\d seconds = \d+\.\d\d usec/iter\n$`)
)

// pingpongArgs is a command line.
func pingpongArgs(flags string, args ...string) []string {
	return append(append([]string{"roce", "pingpong"}, strings.Fields(flags)...), args...)
}

// startPingpongServer starts a server and returns the port where it listens.
func startPingpongServer(t *testing.T, flags string, args ...string) (s *started, port string) {
	t.Helper()
	s = start(t, t.TempDir(), pingpongArgs(flags+" --port 0", args...)...)
	require.True(t, eventually(programTimeout, func() bool { return pingpongListening.MatchString(s.stdout.String()) }), &s.stderr)
	return s, pingpongListening.FindStringSubmatch(s.stdout.String())[1]
}

// needRoCEPort skips a test where the kernel's software RoCE has RoCE's port, which
// is the only one that the tool's handshake allows.
func needRoCEPort(t *testing.T) {
	t.Helper()
	if device := os.Getenv("RXE_DEVICE"); device != "" {
		t.Skip("UDP port 4791 is taken in this network namespace, by the kernel for " + device)
	}
}

// Two processes: each prints what the tool prints, and the other's address.
func TestPingpong(t *testing.T) {
	needRoCEPort(t)
	t.Parallel()
	for flags, bytes := range map[string]string{
		"":                               "8192000",
		"-c -s 64KiB -m 4096 -n 200":     "26214400",
		"-e --chk --size=1 -n 50 -r 3":   "100",
		"--events --iters 2 --mtu 256":   "16384",
		"--rx-depth 1 --timeout 30s -n1": "8192",
	} {
		t.Run(flags, func(t *testing.T) {
			t.Parallel()
			near, far := loopbackAddress().String(), loopbackAddress().String()
			server, port := startPingpongServer(t, flags, "--transport", "softroce://"+far)
			status, stdout, stderr := run(t, t.TempDir(), pingpongArgs(flags, "localhost", "-p", port, "--transport", "softroce://"+near)...)
			require.Equal(t, exitOK, status, stderr)
			require.Equal(t, exitOK, server.wait(), &server.stderr)
			require.Empty(t, stderr+server.stderr.String())
			client, answer := pingpongOutput.FindStringSubmatch(stdout), pingpongOutput.FindStringSubmatch(server.stdout.String())
			require.NotNil(t, client, stdout)
			require.NotNil(t, answer, &server.stdout)
			require.Equal(t, "::ffff:"+near, client[3])
			require.Equal(t, "::ffff:"+far, client[6])
			require.Equal(t, client[1:4], answer[4:7], "the client's address")
			require.Equal(t, client[4:7], answer[1:4], "the server's")
			require.Equal(t, bytes, client[7])
			require.Equal(t, client[7:], answer[7:])
		})
	}
}

// The default transport will do for two processes of one machine.
func TestPingpongDefault(t *testing.T) {
	needRoCEPort(t)
	t.Parallel()
	server, port := startPingpongServer(t, "-n 20")
	stdout := succeed(t, t.TempDir(), pingpongArgs("-n 20", "127.0.0.1", "-p", port)...)
	require.Contains(t, stdout, "GID ::ffff:127.")
	require.Equal(t, exitOK, server.wait(), &server.stderr)
}

// Mistakes on the command line, and a flag of the tool that is none here.
func TestPingpongRefuses(t *testing.T) {
	needRoCEPort(t)
	t.Parallel()
	refuses(t, t.TempDir(), []string{"roce", "pingpong"}, map[string][]string{
		"rfaas roce pingpong: --transport shm: speaks ":                                                  {"--transport", "shm:"},
		"rfaas roce pingpong: --transport nonsense: unknown transport ":                                  {"--transport", "nonsense"},
		"rfaas roce pingpong: --transport softroce://192.0.2.8: not supported: RoCE packets are neither": {"--transport", "softroce://192.0.2.8"},
		"rfaas roce pingpong: --size 0: must be 1 to ":                                                   {"-s", "0"},
		"rfaas roce pingpong: --size much: must be a number of bytes, such as 65536, 64KiB or 1GiB":      {"-s", "much"},
		"rfaas roce pingpong: one HOST, that of the server, or none to be the server\n":                  {"a", "b"},
		"rfaas roce pingpong: the client of which HOST?\n":                                               {""},
		"rfaas roce pingpong: unknown shorthand flag: 'g' in -g\n":                                       {"-g", "1"},
	})
}

// What can fail, fails with status 1 and says what to do.
func TestPingpongFails(t *testing.T) {
	needRoCEPort(t)
	t.Parallel()
	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	defer l.Close()
	taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	for want, args := range map[string][]string{
		"rfaas roce pingpong: TCP port " + taken + " is taken, by another server maybe; choose another --port at both ends\n": {"-p", taken},
		"rfaas roce pingpong: no client came within --timeout 10ms\n":                                                         {"-p", "0", "--timeout", "10ms"},
		"rfaas roce pingpong: the peer did not tell its address within --timeout 10ms: ":                                      {"-p", taken, "127.0.0.1", "--timeout", "10ms"},
		"rfaas roce pingpong: --mtu 4096: this end's path MTU is 256; use --mtu 256 at both ends":                             {"-p", "0", "-m", "4096", "--transport", "softroce:?mtu=256"},
	} {
		stderr := fails(t, t.TempDir(), pingpongArgs("", args...)...)
		require.Contains(t, stderr, want)
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
}

// Ctrl-C ends it, whatever it waits for.
func TestPingpongInterrupted(t *testing.T) {
	needRoCEPort(t)
	t.Parallel()
	if signal.Ignored(syscall.SIGINT) {
		t.Skip("SIGINT is ignored here, and so by what is started from here: run without nohup and in the foreground")
	}
	for _, connected := range []bool{false, true} {
		s, port := startPingpongServer(t, "")
		if connected {
			stream, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
			require.NoError(t, err)
			defer stream.Close()
		}
		s.signal(syscall.SIGINT)
		require.Equal(t, exitInterrupted, s.wait())
		require.Equal(t, "rfaas roce pingpong: interrupted\n", s.stderr.String())
	}
}
