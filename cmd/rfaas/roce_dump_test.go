package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goldenCaptures are those of the kernel's driver.
func goldenCaptures(t testing.TB) []string {
	files, err := filepath.Glob("../../softroce/wire/testdata/*.pcap")
	require.NoError(t, err)
	require.Len(t, files, 16)
	for i, file := range files {
		files[i], err = filepath.Abs(file)
		require.NoError(t, err)
	}
	return files
}

func goldenCapture(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("../../softroce/wire/testdata", name))
	require.NoError(t, err)
	return b
}

func TestRoceDumpGolden(t *testing.T) {
	t.Parallel()
	files := goldenCaptures(t)

	status, stdout, stderr := run(t, t.TempDir(), append([]string{"roce", "dump"}, files...)...)

	require.Equal(t, exitOK, status)
	require.Empty(t, stderr)
	line := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{6}000 10\.9\.0\.[12]:\d+ > 10\.9\.0\.[12]:4791 ([A-Z]+ )+qp=0x[0-9a-f]+ psn=\d+ .*icrc=ok$`)
	packets, files2 := 0, 0
	for text := range strings.Lines(stdout) {
		text = strings.TrimSuffix(text, "\n")
		if name, counts, ok := strings.Cut(text, ".pcap: "); ok {
			require.Contains(t, files, name+".pcap")
			require.Regexp(t, `^(\d+) packets: \d+ RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other$`, counts)
			files2++
			continue
		}
		packets++
		require.Regexp(t, line, text)
	}
	require.Equal(t, 3604, packets)
	require.Equal(t, len(files), files2)
	for _, want := range []string{
		"02:58:02.982423000 10.9.0.2:49513 > 10.9.0.1:4791 READ REQUEST qp=0x13 psn=15626483 flags=A va=0x556bda135000 rkey=0x435 length=8 icrc=ok\n" +
			"02:58:02.982617000 10.9.0.1:49513 > 10.9.0.2:4791 READ RESPONSE ONLY qp=0x13 psn=15626483 credits=unlimited msn=3 payload=8 icrc=ok\n",
		"FETCH ADD qp=0x14 psn=11797258 flags=A va=0x5584f8a51000 rkey=0x527 add=0x1 icrc=ok\n",
		"ATOMIC ACK qp=0x14 psn=11797258 credits=unlimited msn=3 original=0xffc43c78d80d02eb icrc=ok\n",
		"COMPARE SWAP qp=0x15 psn=14731401 flags=A va=0x556e7e9b1000 rkey=0x6bc compare=0x0 swap=0x0 icrc=ok\n",
		"UD SEND ONLY qp=0x1 psn=2 flags=A qkey=0x80010000 source-qp=0x1 payload=256 CM DisconnectRequest attribute=0x15 transaction=0x2e64ebcb8 icrc=ok\n",
	} {
		require.Contains(t, stdout, want)
	}

	quiet := succeed(t, t.TempDir(), append([]string{"roce", "dump", "--quiet"}, files...)...)
	require.Equal(t, len(files), strings.Count(quiet, "\n"), "the counts only")
}

// Packets that are wrong make the program fail; the port is what says which are
// looked at.
func TestRoceDumpWrongPackets(t *testing.T) {
	t.Parallel()
	capture := goldenCapture(t, "write-8.pcap")
	capture[24+16+int(binary.LittleEndian.Uint32(capture[24+8:]))-5] ^= 1 // before the ICRC of the first
	dir := t.TempDir()
	write(t, dir, "wrong.pcap", string(capture))
	status, stdout, stderr := run(t, dir, "roce", "dump", "-q", "wrong.pcap")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stdout, "icrc=BAD\nwrong.pcap: 30 packets: 30 RoCEv2, 1 bad ICRC, 0 malformed, 0 cut off, 0 other\n")
	require.Equal(t, "rfaas roce dump: wrong.pcap: the ICRC of 1 of 30 RoCEv2 packets does not hold: they were changed on their way, or the sender computes another one\n", stderr)

	stdout = succeed(t, dir, "roce", "dump", "-q", "--port", "4792,4793", "wrong.pcap")
	require.Equal(t, "wrong.pcap: 30 packets: 0 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 30 other\n", stdout)
}

// One damaged file does not keep the others from being read.
func TestRoceDumpDamagedFiles(t *testing.T) {
	t.Parallel()
	golden := goldenCapture(t, "write-8.pcap")
	dir := t.TempDir()
	write(t, dir, "good.pcap", string(golden))
	write(t, dir, "cut.pcap", string(golden[:24+16+int(binary.LittleEndian.Uint32(golden[24+8:]))+20]))
	status, stdout, stderr := run(t, dir, "roce", "dump", "-q", "missing.pcap", ".", "cut.pcap", "good.pcap")
	require.Equal(t, exitFailed, status)
	require.Equal(t, "cut.pcap: 1 packets: 1 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n"+
		"good.pcap: 30 packets: 30 RoCEv2, 0 bad ICRC, 0 malformed, 0 cut off, 0 other\n", stdout)
	require.Equal(t, "rfaas roce dump: open missing.pcap: no such file or directory\n"+
		".: is a directory\n"+
		"cut.pcap: ends in the middle of packet 2: it is still being written, or was cut off; copy or capture it again\n", stderr)
}

// Packets that come one by one are printed when they come.
func TestRoceDumpLive(t *testing.T) {
	t.Parallel()
	golden := goldenCapture(t, "write-8.pcap")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	s := startWith(t, t.TempDir(), func(c *exec.Cmd) { c.Stdin = r }, "roce", "dump", "-")
	r.Close()
	first := 24 + 16 + int(binary.LittleEndian.Uint32(golden[24+8:]))
	_, err = w.Write(golden[:first])
	require.NoError(t, err)
	require.True(t, eventually(programTimeout, func() bool { return strings.Count(s.stdout.String(), "\n") == 1 }))
	_, err = w.Write(golden[first:])
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, exitOK, s.wait())
	require.Empty(t, s.stderr.String())
	require.Equal(t, 31, strings.Count(s.stdout.String(), "\n"))
	require.Contains(t, s.stdout.String(), "\nstandard input: 30 packets: 30 RoCEv2, ")
}

func TestRoceDumpRefuses(t *testing.T) {
	t.Parallel()
	refuses(t, t.TempDir(), []string{"roce"}, map[string][]string{
		"rfaas roce: which command? there are: capture, dump, pingpong\nSee 'rfaas roce":    {},
		"rfaas roce: unknown command \"walk\" for \"rfaas roce\"\nSee 'rfaas roce --help'.": {"walk"},
		"rfaas roce dump: which FILE?":                  {"dump"},
		"rfaas roce dump: --port 65536: is no UDP port": {"dump", "--port", "65536", "x"},
		"rfaas roce dump: --port 0: is no UDP port":     {"dump", "--port", "4791,0", "x"},
	})
}
