package roceaddr

import "encoding/binary"

// The message of an end that is ready: a word, and the path MTU that fits its route (16
// bits, big-endian). Ends other than softroce may send only the word, or something else.
const readyWord = "ready"

// EncodeReady is the message of an end whose route fits a path MTU.
func EncodeReady(mtu int) []byte {
	return binary.BigEndian.AppendUint16([]byte(readyWord), uint16(mtu))
}

// DecodeReady reads what EncodeReady wrote; false: the peer did not send it.
func DecodeReady(b []byte) (mtu int, told bool) {
	if len(b) != len(readyWord)+2 || string(b[:len(readyWord)]) != readyWord {
		return 0, false
	}
	mtu = int(binary.BigEndian.Uint16(b[len(readyWord):]))
	return mtu, ValidMTU(mtu)
}
