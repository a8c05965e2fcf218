package executor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// forge is a function that never returns, and has the page that its supervisor watches say
// that calls come and go.
func forge(context.Context, []byte, []byte) (int, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		var begin int64
		if _, err := fmt.Sscanf(line, "%x-", &begin); err != nil || !strings.Contains(line, "rfaas-progress") {
			continue
		}
		for turns := uint64(1); ; turns += 2 {
			if _, err := mem.WriteAt(binary.NativeEndian.AppendUint64(nil, turns), begin); err != nil {
				return 0, err
			}
		}
	}
	return 0, errors.New("the page is not found")
}

// flood is a function that sends its supervisor messages with descriptors, as many as it
// can.
func flood(context.Context, []byte, []byte) (int, error) {
	for fd := range 1024 {
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil || kind != unix.SOCK_SEQPACKET {
			continue
		}
		for {
			err := unix.Sendmsg(fd, []byte("{}"), unix.UnixRights(0, 0), nil, unix.MSG_NOSIGNAL)
			if errors.Is(err, syscall.EPIPE) {
				break
			}
		}
	}
	return 0, errors.New("the connection is not found, or was closed")
}
