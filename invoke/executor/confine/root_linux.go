//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// root is the root directory of a process with namespaces of its own: a file system in
// memory, with the parts of the machine's that are mounted there. What is not, does not exist
// for the process, whatever Landlock can restrict.
type root struct {
	policy *Policy
	trees  []tree
}

// tree is a detached mount, and where it goes.
type tree struct {
	fd     int
	target string
}

// build makes the root directory, and enters it. The mounts of the supervisor, if it has
// passed some, are those of the policy's paths.
func (h *handover) buildRoot(p *Policy) (err error) {
	r := &root{policy: p}
	defer func() {
		for _, t := range r.trees {
			unix.Close(t.fd)
		}
	}()
	if err := r.collect(h); err != nil {
		return err
	}
	if err := r.enter(); err != nil {
		return err
	}
	if err := r.fill(); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// collect opens what will be mounted, while the machine's root directory is there.
func (r *root) collect(h *handover) error {
	const system = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	for _, dir := range systemFolders(r.policy) {
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			continue // it does not exist, or is a link: see fill
		}
		if err := r.open(dir, dir, system); err != nil {
			return err
		}
	}
	for _, file := range systemSettings() {
		info, err := os.Lstat(file)
		if err != nil || info.Mode()&os.ModeSymlink != 0 && file == localTime {
			continue // see enter
		}
		if err := r.open(file, file, system); err != nil {
			return err
		}
	}
	devices := slices.Clone(plainDevices)
	if r.policy.Verbs {
		devices = append(devices, verbsDevices)
	}
	for _, device := range devices {
		if _, err := os.Stat(device); err != nil {
			continue
		}
		if err := r.open(device, device, unix.MOUNT_ATTR_NOSUID); err != nil {
			return err
		}
	}
	// Not optional: everything about threads reads /proc.
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("a /proc for the namespace: %w", err)
	}
	if err := r.open("/proc", "/proc", 0); err != nil {
		return err
	}
	for i, path := range r.policy.paths() {
		if err := path.check(); err != nil {
			return err
		}
		if fd := h.tree(i); fd > 0 {
			r.trees = append(r.trees, tree{fd, path.guest()})
			continue
		}
		if err := r.open(path.Host, path.guest(), path.attributes()); err != nil {
			return err
		}
	}
	return nil
}

// open adds a tree.
func (r *root) open(source, target string, attributes uint64) error {
	fd, err := openTree(source, attributes)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	r.trees = append(r.trees, tree{fd, target})
	return nil
}

// openTree makes a detached mount of a file or folder.
func openTree(path string, attributes uint64) (fd int, err error) {
	fd, err = unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil || attributes == 0 {
		return fd, err
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attributes}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("mount attributes: %w", err)
	}
	return fd, nil
}

const memoryFlags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// enter makes an empty root directory, and leaves the machine's.
func (r *root) enter() error {
	links := map[string]string{}
	for _, dir := range systemFolders(r.policy) {
		if target, err := os.Readlink(dir); err == nil {
			links[dir] = target
		}
	}
	zone, _ := os.Readlink(localTime)
	const at = "/proc" // there is one everywhere, and it has been opened
	if err := unix.Mount("tmpfs", at, "tmpfs", memoryFlags, "mode=0755,size=1m,nr_inodes=4096"); err != nil {
		return fmt.Errorf("a root directory in memory: %w", err)
	}
	if err := os.Chdir(at); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("a root directory of its own: pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the machine's root directory: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	for dir, target := range links {
		if err := os.Symlink(target, dir); err != nil {
			return err
		}
	}
	if strings.HasPrefix(zone, "/usr/share/") {
		if err := errors.Join(os.Mkdir("/etc", 0o755), os.Symlink(zone, localTime)); err != nil {
			return err
		}
	}
	return nil
}

// fill mounts the trees, and makes the folders and files that are the process's own.
func (r *root) fill() error {
	if err := r.memory(); err != nil {
		return err
	}
	for _, t := range r.trees {
		if err := place(t.fd, t.target); err != nil {
			return fmt.Errorf("%s: mounting it: %w", t.target, err)
		}
	}
	for _, dir := range []string{"/var", "/etc"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	links := [][2]string{
		{"../tmp", "/var/tmp"}, {"/proc/self/fd", "/dev/fd"}, {"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"}, {"/proc/mounts", "/etc/mtab"},
	}
	for _, l := range links {
		if err := os.Symlink(l[0], l[1]); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	for name, text := range ownFiles(os.Getuid()) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil && !errors.Is(err, unix.EROFS) { // EROFS: the policy has it
			return err
		}
	}
	return nil
}

// memory mounts /tmp and /dev/shm, which share one limit.
func (r *root) memory() error {
	options := "mode=0700,nr_inodes=16384"
	if r.policy.TmpBytes > 0 {
		options += fmt.Sprintf(",size=%d", r.policy.TmpBytes)
	}
	const at = "/memory"
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", memoryFlags, options); err != nil {
		return fmt.Errorf("a file system in memory: %w", err)
	}
	for name, target := range map[string]string{"tmp": "/tmp", "shm": sharedMemory} {
		if err := os.Mkdir(filepath.Join(at, name), 0o700); err != nil {
			return err
		}
		fd, err := openTree(filepath.Join(at, name), 0)
		if err == nil {
			err = place(fd, target)
			unix.Close(fd)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Remove(at)
}

// place mounts a detached mount at a path.
func place(fd int, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var err error
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.Mkdir(path, 0o755)
	} else {
		var f *os.File
		if f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
			f.Close()
		}
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}
