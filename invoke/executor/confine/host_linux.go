//go:build amd64 || arm64

package confine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Host prepares the processes of a supervisor. Its methods may be called concurrently.
type Host struct {
	cfg        HostConfig
	mounts     []mount
	hostGroups []*hostGroup
	lacking    map[string]error // why there is no control group, by controller or version2
	noUIDs     error            // why the Host has no user ids

	mu             sync.Mutex
	pool           *uidPool
	journal        *journal // until Close
	noJournal      error    // why there is none
	namespacesWork bool     // namespaces are known to work
	tmp            string   // folder of temporary folders, once there is one
	serial         int
}

// NewHost makes a Host. First it removes what killed Hosts have left, processes included; for
// root it fails if it cannot remove control groups. What the machine lacks is an error of
// Prepare, if the policy requires it. Close the Host when its processes have ended.
func NewHost(cfg HostConfig) (*Host, error) {
	if cfg.FirstUID == 0 {
		cfg.FirstUID = 1_900_000_000
	}
	if cfg.UIDs == 0 {
		cfg.UIDs = 1024
	}
	if cfg.LockFolder == "" {
		cfg.LockFolder = "/run/rfaas-confine"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	list, err := mounts()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, mounts: list, lacking: map[string]error{}}
	folder := os.TempDir()
	if isRoot() {
		folder = cfg.LockFolder
		h.pool, h.noUIDs = newUIDPool(folder, cfg.FirstUID, cfg.UIDs)
		h.noJournal = h.noUIDs
	} else {
		h.noUIDs = errors.New("only root can give a process a user id of its own: run the supervisor as root")
	}
	if h.noJournal == nil {
		if err := h.sweep(folder); err != nil {
			return nil, err
		}
		h.journal, h.noJournal = newJournal(folder)
	}
	if err := h.takeGroups(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// sweep removes what Hosts have left that are gone: groups, processes, files.
func (h *Host) sweep(folder string) error {
	gone, err := orphans(folder)
	var groups, files []string
	for _, j := range gone {
		defer j.close()
		removed, e := j.removeGroups()
		groups, err = append(groups, removed...), errors.Join(err, e)
	}
	if len(groups) > 0 {
		h.cfg.Logger.Warn("removed control groups of a supervisor that is gone", "groups", groups)
	}
	if h.pool != nil {
		if n := h.pool.sweep(); n > 0 {
			h.cfg.Logger.Warn("ended processes of a supervisor that is gone", "processes", n)
		}
	}
	var filesErr error
	for _, j := range gone { // no process writes to them any more
		removed, e := j.removeTmp()
		files, filesErr = append(files, removed...), errors.Join(filesErr, e)
	}
	if len(files) > 0 {
		h.cfg.Logger.Warn("removed temporary files of a supervisor that is gone", "folders", files)
	}
	if filesErr != nil {
		// A warning only: unlike processes they are harmless, and their names are not used again.
		h.cfg.Logger.Warn("temporary files of a supervisor that is gone could not be removed", "reason", filesErr)
	}
	// Without the right to remove groups, a Host has not created any either.
	if err != nil && isRoot() && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("confine: removing what an ended supervisor has left: %w", err)
	}
	return nil
}

// takeGroups creates the Host's groups.
func (h *Host) takeGroups() error {
	own, err := ownGroups()
	if err != nil {
		return err
	}
	for _, c := range controllers {
		h.lacking[c] = errors.New("no control group file system with this controller is mounted: mount one at /sys/fs/cgroup")
	}
	h.lacking[version2] = errNoVersion2
	for _, tree := range findHierarchies(h.mounts, own) {
		if len(tree.controllers) == 0 && !isRoot() {
			continue // it is only for packet filters, which need root
		}
		if h.cfg.Cgroup != "" {
			tree.bases = []string{filepath.Join(tree.bases[len(tree.bases)-1], h.cfg.Cgroup)}
		}
		c, err := (*hostGroup)(nil), h.noJournal
		if err == nil {
			c, err = newHostGroup(tree, h.journal)
		}
		if err == nil {
			h.hostGroups = append(h.hostGroups, c)
		} else {
			err = fmt.Errorf("cannot make a control group: %w", err)
		}
		for _, name := range tree.controllers {
			h.lacking[name] = err
		}
		if tree.v2 {
			h.lacking[version2] = err
		}
	}
	return nil
}

// namespaceFlags are a process's own namespaces. Not the network: the addresses of its
// transport would not be those that clients see.
const namespaceFlags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC

// addNamespaces starts a process in namespaces of its own. There it is the only user, and
// may mount until Enter.
func addNamespaces(attr *syscall.SysProcAttr, uid int) {
	attr.Cloneflags |= namespaceFlags
	gid := uid
	if attr.Credential == nil {
		uid, gid = os.Geteuid(), os.Getegid()
	}
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	attr.GidMappingsEnableSetgroups = attr.Credential != nil
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
}

// credential is that of a process with a uid of its own, and without groups.
func credential(uid int) *syscall.Credential {
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
}

// namespaces returns the error that prevents namespaces, nil if they work. The user id is the
// caller's, so that no sweep mistakes the probe for a process that was left.
func (h *Host) namespaces(uid int) error {
	if h.namespacesWork {
		return nil
	}
	err := probeNamespaces(h.mounts, uid)
	h.namespacesWork = err == nil
	return err
}

// probeNamespaces starts a process with namespaces of its own, which ends at once.
func probeNamespaces(list []mount, uid int) error {
	if masked := procMasked(list); masked != "" {
		return fmt.Errorf("%s is mounted over, so the kernel allows no /proc for a new namespace, as in most containers: run the supervisor outside, or in a container with an unmasked /proc", masked)
	}
	const restricted = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
	if n, err := readInt(restricted, ""); err == nil && n != 0 && !isRoot() {
		return fmt.Errorf("AppArmor forbids namespaces to users other than root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile")
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if isRoot() {
		attr.Credential = credential(uid)
	}
	addNamespaces(attr, uid)
	// A program that does not exist: executing it is the last step, so all else worked.
	_, err := syscall.ForkExec("/proc/self/no-such-program", []string{"probe"}, &syscall.ProcAttr{Sys: attr})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return fmt.Errorf("a process with namespaces of its own: %w (see user.max_user_namespaces and kernel.unprivileged_userns_clone)", err)
}

// tmpFolder makes a folder for a process that cannot have a private /tmp.
func (h *Host) tmpFolder(name string, uid int) (string, error) {
	if h.noJournal != nil {
		return "", h.noJournal
	}
	if h.tmp == "" {
		// Other users see the journal's name, and could create the folder first.
		dir := filepath.Join(os.TempDir(), h.journal.name+"-"+rand.Text()[:12])
		if err := h.journal.record(tmpKind, dir); err != nil {
			return "", err
		}
		// Others may pass through, but not list it.
		if err := os.Mkdir(dir, 0o711); err != nil {
			return "", err
		}
		h.tmp = dir
	}
	dir := filepath.Join(h.tmp, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if uid > 0 {
		if err := os.Chown(dir, uid, uid); err != nil {
			os.Remove(dir)
			return "", err
		}
	}
	return dir, nil
}

// Close kills what is left of the Host's processes in its groups, and removes these and its
// folders for temporary files.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.journal == nil {
		return nil
	}
	_, groups := h.journal.removeGroups()
	_, tmp := h.journal.removeTmp()
	err := errors.Join(groups, tmp, h.journal.close())
	h.hostGroups, h.tmp, h.journal, h.noJournal = nil, "", nil, errors.New("the Host was closed")
	return err
}

func (h *Host) nextName() string {
	h.serial++
	return strconv.Itoa(h.serial)
}
