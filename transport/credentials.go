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

// Trusted reports whether the process runs under the same user as this one, or under
// root. In a user namespace all users that it does not map look like one user, who is
// never trusted.
func (c *Credentials) Trusted() bool { return trusted(c.UID, os.Geteuid(), overflowUser()) }

func trusted(uid, own, overflowUser int) bool {
	return uid != overflowUser && (uid == own || uid == 0)
}

// overflowUser is the user that unmapped users look like here, or -1 if all are mapped.
var overflowUser = sync.OnceValue(func() int {
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

// PeerCredentials asks the kernel which process is at the other end of a Unix socket: the
// one that connected, or the one that listens. It is nil for other streams.
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
