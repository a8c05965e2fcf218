package wire

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// captured is a packet of the golden captures.
type captured struct {
	file  string
	index int
	ip    []byte // the IP packet
	Frame
}

func (c captured) String() string { return fmt.Sprintf("%s, packet %d", c.file, c.index) }

// golden reads the captures in testdata: classic pcap, little-endian, Ethernet.
func golden(tb testing.TB) []captured {
	tb.Helper()
	const (
		fileHeaderBytes     = 24
		packetHeaderBytes   = 16
		ethernetHeaderBytes = 14
		magic               = 0xa1b2c3d4
		ethernet            = 1
	)
	files, err := filepath.Glob("testdata/*.pcap")
	require.NoError(tb, err)
	var packets []captured
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(tb, err)
		require.EqualValues(tb, magic, binary.LittleEndian.Uint32(b))
		require.EqualValues(tb, ethernet, binary.LittleEndian.Uint32(b[20:]))
		b = b[fileHeaderBytes:]
		for i := 0; len(b) > 0; i++ {
			n, sent := binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])
			require.Equal(tb, sent, n, "%s: packet %d is cut off", file, i)
			p := captured{file: filepath.Base(file), index: i, ip: b[packetHeaderBytes:][ethernetHeaderBytes:n]}
			p.Frame, err = ParseIP(p.ip)
			require.NoError(tb, err, "%s: packet %d", file, i)
			packets = append(packets, p)
			b = b[packetHeaderBytes+n:]
		}
	}
	return packets
}
