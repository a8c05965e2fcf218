//go:build amd64 || arm64

package confine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func isRoot() bool { return os.Geteuid() == 0 }

// uidPool hands out user ids. The Hosts of a machine share it: each id has a file, and the Host
// that holds its lock has the id. A Host that is killed loses it.
type uidPool struct {
	folder       string
	first, count int
	next         int // where to look first, so that an id is not reused soon
}

// uidLease is an id in use.
type uidLease struct {
	uid  int
	lock *os.File
}

func (l *uidLease) release() {
	if l != nil {
		l.lock.Close()
	}
}

func newUIDPool(folder string, first, count int) (*uidPool, error) {
	if first <= 0 || first+count > 1<<31-1 {
		return nil, fmt.Errorf("confine: user ids %d to %d: they begin at 1 and end below 2147483647", first, first+count-1)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	// Another user who can write there could lock all ids.
	info, err := os.Lstat(folder)
	if err != nil {
		return nil, err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || info.Mode().Perm()&0o022 != 0 || !ok || int(s.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("confine: %s is not a folder that only this user (%d) can write to: name another one in HostConfig.LockFolder", folder, os.Geteuid())
	}
	return &uidPool{folder: folder, first: first, count: count}, nil
}

// take takes a free id.
func (p *uidPool) take() (*uidLease, error) {
	for range p.count {
		uid := p.first + p.next
		p.next = (p.next + 1) % p.count
		l, err := p.tryTake(uid)
		if err != nil {
			return nil, err
		}
		if l != nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("all %d user ids from %d on are in use: close processes, or raise HostConfig.UIDs", p.count, p.first)
}

func (p *uidPool) tryTake(uid int) (*uidLease, error) {
	f, err := os.OpenFile(filepath.Join(p.folder, strconv.Itoa(uid)), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
	return &uidLease{uid, f}, nil
}

// sweep kills processes with an id of the pool that no Host holds: their Host is gone.
func (p *uidPool) sweep() (ended int) {
	eachProcess(func(pid, uid int) {
		if p.endOrphan(pid, uid) {
			ended++
		}
	})
	return ended
}

// endOrphan kills a process with an id of the pool that no Host holds.
func (p *uidPool) endOrphan(pid, uid int) bool {
	if uid < p.first || uid >= p.first+p.count {
		return false
	}
	l, err := p.tryTake(uid)
	if l == nil || err != nil {
		return false
	}
	defer l.release()
	// Again, since no Host can start one with the id now.
	if !killIf(pid, func() bool { return ownerOf(pid) == uid && !exiting(pid) }) {
		return false
	}
	l.killAll() // and waits
	return true
}

// killAll kills all processes of the leased uid, and returns when they have ended or are
// zombies.
func (l *uidLease) killAll() {
	retry(func() bool {
		found := false
		eachProcess(func(pid, uid int) {
			if uid == l.uid {
				found = true
				killIf(pid, func() bool { return ownerOf(pid) == uid })
			}
		})
		return !found
	})
}

// killIf kills a process if check returns true. Process ids are reused: it takes a handle
// before the check, and kills by that.
func killIf(pid int, check func() bool) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer p.Release()
	return check() && p.Kill() == nil
}

func eachProcess(f func(pid, uid int)) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			f(pid, ownerOf(pid))
		}
	}
}

// ownerOf is the real user id of a process; -1 if it has ended or is a zombie.
func ownerOf(pid int) int {
	status := procStatus(pid)
	if state := status["State"]; len(state) == 0 || state[0] == "Z" || state[0] == "X" {
		return -1
	}
	return int(number(status["Uid"]))
}

// exiting reports whether a process is about to be a zombie. Its Host may have released its
// user id already.
func exiting(pid int) bool {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	const flags, pfExiting = 7, 0x4 // after the name, which may have spaces
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < flags {
		return true // it is gone
	}
	n, err := strconv.ParseUint(fields[flags-1], 10, 64)
	return err == nil && n&pfExiting != 0
}
