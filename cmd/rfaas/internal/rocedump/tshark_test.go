package rocedump

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/stretchr/testify/require"
)

// tshark is what another program reads in a capture: a row for each packet, of the
// last values of the fields.
func tshark(t *testing.T, capture []byte, fields ...string) (rows [][]string) {
	t.Helper()
	_, err := exec.LookPath("tshark")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("tshark is not installed: an independent dissector of packets, in Debian's package tshark")
	}
	require.NoError(t, err, "continuous integration must have it")
	file := filepath.Join(t.TempDir(), "x.pcap")
	require.NoError(t, os.WriteFile(file, capture, 0o666))
	args := []string{"-r", file, "-T", "fields", "-E", "separator=|", "-E", "occurrence=l"}
	for _, field := range fields {
		args = append(args, "-e", field)
	}
	cmd := exec.Command("tshark", args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=") // without preferences
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	for line := range strings.Lines(string(stdout)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
		require.Len(t, rows[len(rows)-1], len(fields))
	}
	return rows
}

// words are the words of dump for fields of tshark that are hexadecimal numbers.
var words = map[string]string{
	"infiniband.bth.destqp":        "qp",
	"infiniband.ieth":              "invalidate-rkey",
	"infiniband.deth.q_key":        "qkey",
	"infiniband.deth.srcqp":        "source-qp",
	"infiniband.reth.va":           "va",
	"infiniband.immdt":             "imm",
	"infiniband.mad.attributeid":   "attribute",
	"infiniband.mad.transactionid": "transaction",
	"geneve.vni":                   "Geneve vni",
	"gre.key":                      "GRE key",
}

// requireTsharkAgrees checks the line of each packet with what tshark has in the
// fields that words are for: the same numbers, and none where there is no field.
func requireTsharkAgrees(t *testing.T, capture []byte, fields ...string) {
	t.Helper()
	stdout := dumped(t, capture)
	rows := tshark(t, capture, fields...)
	lines := strings.Split(stdout, "\n")
	require.Len(t, lines, len(rows)+2, "a line for each packet, and one that counts them")
	for i, row := range rows {
		for j, field := range fields {
			found := regexp.MustCompile(" " + words[field] + `=0?x?([0-9a-f]+)( |$)`).FindStringSubmatch(lines[i])
			if row[j] == "" {
				require.Nil(t, found, "%s: tshark has no %s", lines[i], field)
				continue
			}
			require.NotNil(t, found, "%s: tshark has %s: %s", lines[i], field, row[j])
			want, err := strconv.ParseUint(strings.TrimPrefix(row[j], "0x"), 16, 64)
			require.NoError(t, err)
			got, err := strconv.ParseUint(found[1], base(words[field]), 64)
			require.NoError(t, err)
			require.Equal(t, want, got, "%s: %s", lines[i], field)
		}
	}
}

// base is that of the number that dump says with a word.
func base(word string) int {
	if word == "Geneve vni" {
		return 10
	}
	return 16
}

// Opcodes that softroce does not speak are to others what they are here. tshark 4.0
// does not know FLUSH, ATOMIC WRITE, CNP and XRC, and reads the headers of RD at
// wrong offsets.
func TestTsharkAgreesOnOpcodes(t *testing.T) {
	t.Parallel()
	var known [][]byte
	for _, c := range opcodeCases() {
		name, _, _ := strings.Cut(c.want, " ")
		if slices.Contains([]string{"SEND", "UC", "UD"}, name) {
			known = append(known, c.packet)
		}
	}
	require.Len(t, known, 2+12+2)
	requireTsharkAgrees(t, pcap(t, layers.LinkTypeRaw, known...), "infiniband.bth.destqp", "infiniband.ieth", "infiniband.deth.q_key", "infiniband.deth.srcqp", "infiniband.reth.va", "infiniband.immdt")
}

func TestTsharkAgreesOnOpcodeNames(t *testing.T) {
	t.Parallel()
	var packets [][]byte
	for _, c := range opcodeCases() {
		packets = append(packets, c.packet)
	}
	ours := strings.NewReplacer("DC ", "RD ", "RC ", "", "RDMA ", "", "IMMEDIATE", "IMM", "INVALIDATE", "INV", "ACKNOWLEDGE", "ACK")
	named := 0
	for i, row := range tshark(t, pcap(t, layers.LinkTypeRaw, packets...), "_ws.col.Info") {
		name, _, ok := strings.Cut(row[0], "QP=")
		if !ok || name == "Unknown OpCode" {
			continue
		}
		named++
		want, _, _ := strings.Cut(opcodeCases()[i].want, " qp=")
		require.Equal(t, want, ours.Replace(strings.ToUpper(strings.TrimSpace(name))))
	}
	require.GreaterOrEqual(t, named, 25)
}

func TestTsharkAgreesOnManagementDatagrams(t *testing.T) {
	t.Parallel()
	requireTsharkAgrees(t, goldenCapture(t, "rdmacm-rping.pcap"), "infiniband.mad.attributeid", "infiniband.mad.transactionid")
}

func TestTsharkAgreesOnEncapsulations(t *testing.T) {
	t.Parallel()
	var read [][]byte
	for _, c := range encapsulationCases(handMade(0x64, 0x11, generalDETH, "hello")) {
		if c.within != "" {
			read = append(read, c.packet)
		}
	}
	requireTsharkAgrees(t, pcap(t, layers.LinkTypeRaw, read...), "infiniband.deth.srcqp", "geneve.vni", "gre.key")
}
