package transport

import (
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Credentials identify a process on this machine.
type Credentials struct{ PID, UID, GID int }

// Trusted says whether the process runs under the same user as this one, or under root. In
// a user namespace those whom it does not know all look like one user, with whom nobody is
// the same.
func (c *Credentials) Trusted() bool { return trusted(c.UID, os.Geteuid(), stranger()) }

func trusted(uid, own, stranger int) bool {
	return uid != stranger && (uid == own || uid == 0)
}

// stranger is the user that unknown ones look like here, or -1 if all are known.
var stranger = sync.OnceValue(func() int {
	users, err := os.ReadFile("/proc/self/uid_map")
	if err == nil && strings.Join(strings.Fields(string(users)), " ") == "0 0 4294967295" {
		return -1
	}
	const kernels = 65534 // if it was not set
	text, err := os.ReadFile("/proc/sys/kernel/overflowuid")
	if uid, perr := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && perr == nil {
		return uid
	}
	return kernels
})

// PeerCredentials asks the kernel who is at the other end of a Unix socket: who connected,
// or who listens. It is nil for other streams.
func PeerCredentials(stream net.Conn) *Credentials {
	u, ok := stream.(*net.UnixConn)
	if !ok {
		return nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil
	}
	var c *Credentials
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			c = &Credentials{PID: int(cred.Pid), UID: int(cred.Uid), GID: int(cred.Gid)}
		}
	})
	return c
}
