//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// egress is the packet filter of a process: a BPF program attached to its control group. It
// is removed with the group.
type egress struct {
	mu    sync.Mutex
	peers int // map of allowed destinations; -1 when the process was closed
	count map[destination]int
}

// maxPeers bounds how many destinations a process has at once.
const maxPeers = 1 << 14

// version2 is the key of any control group of version 2, with controllers or without, in
// Host.lacking.
const version2 = "version 2"

var (
	errNoVersion2 = errors.New("no control group file system of version 2 is mounted: mount one (mount -t cgroup2 none /sys/fs/cgroup/unified), its controllers do not matter")
	errEgressRoot = errors.New("only root may filter packets: run the supervisor as root")
)

// limitEgress forbids all packets of the process until AllowPeer. The process starts in a
// group of version 2, which is created for this if no limit needs one.
func (p *Process) limitEgress(name string, over *handover) (string, error) {
	switch {
	case !p.policy.Egress:
		return "", errNotWanted
	case !isRoot():
		return "", errEgressRoot
	case !canStartInGroup():
		return "", errors.New("the kernel cannot start processes in a control group of version 2: it needs Linux 5.7")
	}
	g, bare, err := p.egressGroup(name)
	if err != nil {
		return "", err
	}
	if p.egress, err = newEgress(g); err != nil {
		if bare {
			err = errors.Join(err, removeGroup(g.dir, g.v2))
		}
		return "", err
	}
	if bare {
		p.groups = append(p.groups, g)
		over.Groups = append(over.Groups, filepath.Join("/", filepath.Base(g.hostGroup.dir), name))
	}
	return "to its peers", nil
}

// egressGroup is the process's group of version 2; bare reports that it was created for this.
func (p *Process) egressGroup(name string) (g *group, bare bool, err error) {
	for _, g := range p.groups {
		if g.v2 {
			return g, false, nil
		}
	}
	if err := p.host.lacking[version2]; err != nil {
		return nil, false, err
	}
	for _, c := range p.host.hostGroups {
		if c.v2 {
			g, err := c.newGroup(name)
			return g, true, err
		}
	}
	return nil, false, errNoVersion2
}

func newEgress(g *group) (*egress, error) {
	group, err := unix.Open(g.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: g.dir, Err: err}
	}
	defer unix.Close(group)
	fail := func(what string, err error) (*egress, error) {
		return nil, fmt.Errorf("%s: %w (it takes CONFIG_CGROUP_BPF, and the right to use it, which containers lack)", what, err)
	}
	peers, err := newPeers()
	if err != nil {
		return fail("making a map for a packet filter", err)
	}
	program, err := loadProgram(assembleEgress(peers))
	if err != nil {
		unix.Close(peers)
		return fail("loading a packet filter", err)
	}
	defer unix.Close(program) // the group has it
	if err := attachProgram(group, program); err != nil {
		unix.Close(peers)
		return fail("attaching a packet filter to "+g.dir, err)
	}
	return &egress{peers: peers, count: map[destination]int{}}, nil
}

// AllowPeer lets the process send UDP datagrams to an address and port, until ForgetPeer
// was called as often for it. Without the measure Egress the process may send to any
// address, and AllowPeer does nothing.
func (p *Process) AllowPeer(peer netip.AddrPort) error {
	if p.egress == nil {
		return nil
	}
	if err := p.egress.change(peer, 1); err != nil {
		return fmt.Errorf("confine: allowing packets to %v: %w", peer, err)
	}
	return nil
}

// ForgetPeer takes back one AllowPeer.
func (p *Process) ForgetPeer(peer netip.AddrPort) error {
	if p.egress == nil {
		return nil
	}
	if err := p.egress.change(peer, -1); err != nil {
		return fmt.Errorf("confine: forbidding packets to %v: %w", peer, err)
	}
	return nil
}

// change adds to the number of users of a destination.
func (e *egress) change(peer netip.AddrPort, by int) error {
	d := destinationOf(peer)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.count[d] + by
	switch {
	case e.peers < 0:
		return errors.New("the process has ended")
	case now < 0:
		return errors.New("it was not allowed")
	case now > 1, now == 1 && by < 0: // it has other users
	default:
		if err := setPeer(e.peers, d, now > 0); err != nil {
			return err
		}
	}
	if e.count[d] = now; now == 0 {
		delete(e.count, d)
	}
	return nil
}

// close closes the map; the group's program still holds it.
func (e *egress) close() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.peers >= 0 {
		unix.Close(e.peers)
	}
	e.peers = -1
}

// testEgress checks, in the process, that packets are filtered: it sends a datagram to
// itself, which is not allowed.
func testEgress() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("a socket to test the packet filter with: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("a socket to test the packet filter with: %w: ip link set lo up", err)
	}
	self, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	switch err := unix.Sendto(fd, nil, unix.MSG_DONTWAIT, self); {
	case errors.Is(err, unix.EPERM):
		return nil
	case err != nil:
		return fmt.Errorf("testing the packet filter on the loopback: %w: ip link set lo up", err)
	}
	return errors.New("packets are not filtered: before Linux 5.16, control groups of version 1 for net_cls or net_prio hide a socket's group of version 2")
}
