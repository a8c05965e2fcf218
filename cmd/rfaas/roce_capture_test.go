package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

var addresses atomic.Uint32

// loopbackAddress is an address of this machine that nothing else uses: RoCE's
// port is free there.
func loopbackAddress() netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, byte(100 + addresses.Add(1)%100), byte(pid >> 8), byte(pid)})
}

// onPort is the address with RoCE's port.
func onPort(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, wire.Port) }

// captureCounts are what the closing line of a capture tells.
func captureCounts(t *testing.T, stderr, name string) (packets, bytes, dropped int) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^rfaas roce capture: ` + regexp.QuoteMeta(name) + `: \d+ packets, .*$`).FindString(stderr)
	_, err := fmt.Sscanf(line, "rfaas roce capture: "+name+": %d packets, %d bytes, %d dropped", &packets, &bytes, &dropped)
	require.NoError(t, err, stderr)
	return packets, bytes, dropped
}

// What a benchmark exchanges is captured, both directions, and nothing is missing
// in the sequence of either.
func TestRoceCapture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "x.pcap", "what was there before")
	near, far := loopbackAddress(), loopbackAddress()
	const firstPSN = 0xffff80 // it wraps
	status, stdout, stderr := run(t, dir, "roce", "capture", "--limit", "0", "x.pcap", "bench", "write-imm-lat", "--mode", "warm", "--iterations", "200",
		"--transport", fmt.Sprintf("softroce://%v?psn=%d", near, firstPSN), "--peer-transport", fmt.Sprintf("softroce://%v?psn=%d", far, firstPSN))
	require.Equal(t, exitOK, status, stderr)
	require.Contains(t, stdout, "write-imm-lat", "the command's standard output")
	require.Equal(t, []string{"x.pcap"}, namesIn(t, dir))

	capture := read(t, dir, "x.pcap")
	packets := readRecording(t, []byte(capture))
	count, bytes, dropped := captureCounts(t, stderr, "x.pcap")
	require.Equal(t, len(packets), count)
	require.Equal(t, len(capture), bytes)
	require.Zero(t, dropped)
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)

	requests := map[netip.AddrPort]map[int]bool{}
	for i, p := range packets {
		require.True(t, p.frame.Src == onPort(near) && p.frame.Dst == onPort(far) || p.frame.Src == onPort(far) && p.frame.Dst == onPort(near))
		require.WithinDuration(t, time.Now(), p.info.Timestamp, programTimeout)
		n := wire.PSNDiff(p.packet.PSN, firstPSN)
		if p.packet.Opcode == wire.Acknowledge {
			require.True(t, n < 0 || requests[p.frame.Dst][n], "packet %d acknowledges what was not sent: %d", i, p.packet.PSN)
			continue
		}
		require.True(t, p.packet.Opcode.IsRequest())
		if requests[p.frame.Src] == nil {
			requests[p.frame.Src] = map[int]bool{}
		}
		require.True(t, n == 0 || requests[p.frame.Src][n-1], "packet %d does not follow any other: %d", i, p.packet.PSN)
		requests[p.frame.Src][n] = true
	}
	for _, end := range []netip.Addr{near, far} {
		require.GreaterOrEqual(t, len(requests[onPort(end)]), 200)
	}

	stdout = succeed(t, dir, "roce", "dump", "-q", "x.pcap")
	require.Equal(t, fmt.Sprintf("x.pcap: %d packets: %d RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", count, count), stdout)
}

// Not all ends can have RoCE's port; dump gets the others as a flag: the client's, the agent's and
// the worker's.
func TestRoceCaptureOtherPorts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "a")
	status, stdout, stderr := run(t, dir, "roce", "capture", "--snaplen", "60", "x.pcap", "run", "-f", "echo", "--transport", "softroce://127.0.0.1:0", "a")
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "a", stdout)
	count, _, _ := captureCounts(t, stderr, "x.pcap")
	require.Positive(t, count)
	hint := regexp.MustCompile(`(?m)^rfaas roce capture: not all packets go to RoCE's port 4791: read them with 'rfaas (roce dump --port 4791,\d+,\d+,\d+ x\.pcap)', and in Wireshark choose Decode As, InfiniBand$`).FindStringSubmatch(stderr)
	require.NotNil(t, hint, stderr)

	stdout = succeed(t, dir, append(strings.Fields(hint[1]), "-q")...)
	require.Regexp(t, fmt.Sprintf(`^x\.pcap: %d packets: %d RoCEv2, 0 bad ICRC, 0 malformed, [1-9]\d* cut off, 0 other\n$`, count, count), stdout)
}

// When the command fails, what it sent and received is kept, and its status too.
func TestRoceCaptureFailingCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "a")
	write(t, dir, "former.pcap", "former")
	require.NoError(t, os.Symlink("former.pcap", filepath.Join(dir, "link")))
	stderr := fails(t, dir, "roce", "capture", "link", "run", "-f", "test-panic", "--transport", "softroce", "-o", "out", "a")
	require.NotContains(t, stderr, "--help")
	count, _, _ := captureCounts(t, stderr, "link")
	require.Positive(t, count)
	info, err := os.Lstat(filepath.Join(dir, "link"))
	require.NoError(t, err)
	require.Equal(t, os.ModeSymlink, info.Mode().Type(), "the link is followed")
	require.Len(t, readRecording(t, []byte(read(t, dir, "former.pcap"))), count)
}

// Without softroce there is nothing to capture, and what was there stays.
func TestRoceCaptureNoSoftroce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "a")
	for _, former := range []bool{false, true} {
		if former {
			write(t, dir, "x.pcap", "former")
		}
		status, stdout, stderr := run(t, dir, "--log-format", "json", "roce", "capture", "x.pcap", "run", "-f", "echo", "--log-level", "info", "a")
		require.Equal(t, exitOK, status)
		require.Equal(t, "a", stdout)
		require.Contains(t, stderr, "rfaas roce capture: nothing was captured: the command did not use softroce; have it do so with --transport softroce\n")
		require.Contains(t, stderr, `"msg":"worker started"`, "it logs as capture was told to")
		if former {
			require.Equal(t, "former", read(t, dir, "x.pcap"))
		} else {
			require.Equal(t, []string{"a"}, namesIn(t, dir))
		}
	}
}

func TestRoceCaptureRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	refuses(t, dir, []string{"roce", "capture"}, map[string][]string{
		"rfaas roce capture: to which FILE?\n":                                                                           {},
		"rfaas roce capture: to which FILE?\nS":                                                                          {"", "bench"},
		"rfaas roce capture: -: the standard output is the command's; name a file\n":                                     {"-", "bench", "write-lat"},
		"rfaas roce capture: which command? capture runs one of: bench, run\n":                                           {"x.pcap"},
		"rfaas roce capture: --limit: flags of capture go before FILE, those of the command behind it\n":                 {"x.pcap", "--limit", "1MiB", "bench"},
		"rfaas roce capture: roce is no command that capture runs; those are: bench, run\n":                              {"x.pcap", "roce", "capture", "y.pcap", "bench"},
		"rfaas roce capture: --snaplen 0: must be 1 to 65535\n":                                                          {"--snaplen", "0", "x.pcap", "bench"},
		"rfaas roce capture: --snaplen 65536: must be 1 to 65535\n":                                                      {"--snaplen", "65536", "x.pcap", "bench"},
		"rfaas roce capture: --limit much: must be a number of bytes, such as 65536, 64KiB or 1GiB":                      {"--limit", "much", "x.pcap", "bench"},
		"rfaas roce capture: bench: which test? there are: write-lat, ":                                                  {"x.pcap", "bench"},
		"rfaas roce capture: bench: unknown flag: --loud\n":                                                              {"x.pcap", "bench", "--loud"},
		"rfaas roce capture: run: --transport softroce:nonsense: ":                                                       {"x.pcap", "run", "-f", "echo", "--transport", "softroce:nonsense", "a"},
		`rfaas roce capture: bench: --log-level "loud": must be one of debug, info, warn, error` + "\nSee 'rfaas roce c": {"x.pcap", "bench", "--log-level", "loud"},
	})
	require.Empty(t, namesIn(t, dir))
}

// Where there can be no file, the command is not even started. These places are
// impossible for root, too.
func TestRoceCaptureNotWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "file", "")
	write(t, dir, "folder/file", "")
	// No device: if the code were wrong, and this root, it would be replaced.
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o666))
	require.NoError(t, os.Symlink("fifo", filepath.Join(dir, "link")))
	const other = "; choose another FILE\n"
	for name, want := range map[string]string{
		"missing/x.pcap": "missing/x.pcap cannot be written: create a file in missing: no such file or directory" + other,
		"file/x.pcap":    "file/x.pcap cannot be written: stat file/x.pcap: not a directory" + other,
		"/proc/x.pcap":   "/proc/x.pcap cannot be written: create a file in /proc: ",
		"folder":         "folder: is a directory; name a file\n",
		"link":           "link: is no regular file, and a capture replaces what has its name" + other,
		"fifo":           "fifo: is no regular file, and a capture replaces what has its name" + other,
	} {
		status, stdout, stderr := run(t, dir, "roce", "capture", name, "bench", "write-lat", "--transport", "softroce")
		require.Equal(t, exitFailed, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "rfaas roce capture: "+want)
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
	require.Equal(t, []string{"fifo", "file", "folder", "link"}, namesIn(t, dir))
}

func TestRoceCaptureForbidden(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root is not held back by permissions; other places that cannot be written are tested in TestRoceCaptureNotWritable")
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "sealed"), 0o555))
	stderr := fails(t, dir, "roce", "capture", "sealed/x.pcap", "bench", "write-lat")
	require.Equal(t, "rfaas roce capture: sealed/x.pcap cannot be written: create a file in sealed: permission denied; choose another FILE\n", stderr)
}

// When the disk is full the command continues, and what is there is not half a
// capture.
func TestRoceCaptureFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := smallDisk(t, 64<<10)
	path := filepath.Join(disk, write(t, disk, "x.pcap", "former"))
	write(t, dir, "a", strings.Repeat("a", 100<<10))
	problem := fmt.Sprintf("write %s: no space left on device; nothing of the capture is kept\n", path)
	for function, want := range map[string]string{"echo": "echo: 1 of 1 input done", "test-panic": "test-panic: 0 of 1 input done, 1 failed"} {
		status, stdout, stderr := run(t, dir, "roce", "capture", path, "run", "-f", function, "--transport", "softroce", "-o", "out", "a")
		require.Equal(t, exitFailed, status)
		require.Contains(t, stdout, want)
		require.True(t, strings.HasSuffix(stderr, "rfaas roce capture: "+problem), stderr)
		require.Equal(t, []string{"x.pcap"}, namesIn(t, disk))
		require.Equal(t, "former", read(t, path))
	}

	// The status is the command's if it failed, too.
	s := start(t, dir, "roce", "capture", "--limit", "128KiB", path, "bench", "write-imm-lat", "--mode", "warm", "--iterations", "2000000000", "--transport", "softroce")
	require.True(t, eventually(20*time.Second, func() bool { return strings.Contains(s.stderr.String(), "has reached --limit 128KiB") }), s.stderr.String())
	s.signal(syscall.SIGINT)
	require.Equal(t, exitInterrupted, s.wait())
	require.Contains(t, s.stderr.String(), "rfaas roce capture: bench: interrupted\n"+problem)
	require.Equal(t, "former", read(t, path))
}

// With Ctrl-C, what was captured is kept.
func TestRoceCaptureInterrupted(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			near, far := loopbackAddress(), loopbackAddress()
			s := start(t, dir, "roce", "capture", "--limit", "20KiB", "x.pcap", "bench", "write-imm-lat", "--mode", "warm", "--iterations", "2000000000",
				"--transport", fmt.Sprintf("softroce://%v", near), "--peer-transport", fmt.Sprintf("softroce://%v", far))
			const full = "rfaas roce capture: x.pcap has reached --limit 20KiB; the command continues without being captured\n"
			require.True(t, eventually(20*time.Second, func() bool { return s.stderr.String() == full }), s.stderr.String())
			require.Empty(t, namesIn(t, dir), "no file before the end")
			s.signal(sig)

			require.Equal(t, exitInterrupted, s.wait())
			require.Regexp(t, `^rfaas roce capture: x\.pcap: \d+ packets, \d+ bytes, 0 dropped, [1-9]\d* not captured after --limit 20KiB\nrfaas roce capture: bench: interrupted\n$`,
				strings.TrimPrefix(s.stderr.String(), full))
			count, bytes, _ := captureCounts(t, s.stderr.String(), "x.pcap")
			capture := read(t, dir, "x.pcap")
			require.Len(t, capture, bytes)
			require.Greater(t, bytes, 19<<10)
			require.LessOrEqual(t, bytes, 20<<10)
			require.Len(t, readRecording(t, []byte(capture)), count)
		})
	}
}

// With the second Ctrl-C the program ends, and with a capture, even if the command
// does not, as it waits for its standard input here.
func TestRoceCaptureInterruptedTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stdin, hold, err := os.Pipe()
	require.NoError(t, err)
	defer stdin.Close()
	defer hold.Close()
	s := startWith(t, dir, func(c *exec.Cmd) { c.Stdin = stdin }, "roce", "capture", "x.pcap", "run", "-f", "echo", "--transport", "softroce", "-")
	_, err = hold.WriteString("the beginning")
	require.NoError(t, err)
	require.True(t, eventually(20*time.Second, func() bool {
		unread, err := unix.IoctlGetInt(int(stdin.Fd()), unix.TIOCINQ)
		return err == nil && unread == 0
	}))
	s.signal(syscall.SIGINT)
	s.signal(syscall.SIGTERM)

	require.Equal(t, exitInterrupted, s.wait())
	require.Equal(t, "rfaas roce capture: x.pcap: 0 packets, 24 bytes, 0 dropped\n", s.stderr.String(), "said by it, and not by run")
	require.Empty(t, readRecording(t, []byte(read(t, dir, "x.pcap"))))
}

// udpPortOpen says whether there is a socket at an address and RoCE's port.
func udpPortOpen(t *testing.T, a netip.Addr) bool {
	b := a.As4()
	return strings.Contains(read(t, "/proc/net/udp"), fmt.Sprintf(" %02X%02X%02X%02X:%04X ", b[3], b[2], b[1], b[0], wire.Port))
}

// What is killed leaves nothing behind.
func TestRoceCaptureKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := loopbackAddress()
	s := start(t, dir, "roce", "capture", "x.pcap", "bench", "write-imm-lat", "--mode", "warm", "--iterations", "2000000000",
		"--transport", fmt.Sprintf("softroce://%v", address), "--peer-transport", fmt.Sprintf("softroce://%v", loopbackAddress()))
	require.True(t, eventually(20*time.Second, func() bool { return udpPortOpen(t, address) }))
	require.NoError(t, s.cmd.Process.Kill())
	require.Equal(t, -1, s.wait())
	require.Empty(t, namesIn(t, dir))
}
