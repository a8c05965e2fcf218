//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// hidden are the folders that everyone can write to. The first gets a file system of the
// process's own, the others an empty one.
var hidden = []string{"/tmp", "/var/tmp", "/dev/shm"}

// mountTmp hides them in this process's mount namespace. The policy's paths below them stay
// visible.
func mountTmp(p *Policy) error {
	kept := map[string]int{}
	defer func() {
		for _, fd := range kept {
			unix.Close(fd)
		}
	}()
	keep := func(paths []string, attributes uint64) error {
		for _, path := range paths {
			for _, dir := range hidden {
				if !within(path, dir) || path == dir {
					continue
				}
				fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
				if err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
				if old, ok := kept[path]; ok {
					unix.Close(old)
				}
				kept[path] = fd
				// Landlock's right to write in /tmp extends to mounts below it.
				attr := &unix.MountAttr{Attr_set: attributes | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
				if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr); err != nil {
					return fmt.Errorf("%s: mount attributes: %w", path, err)
				}
			}
		}
		return nil
	}
	if err := keep(p.ReadPaths, unix.MOUNT_ATTR_RDONLY); err != nil {
		return err
	}
	if err := keep(p.WritePaths, 0); err != nil {
		return err
	}
	for _, dir := range hidden {
		if err := mountOver(p, dir, kept); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

func mountOver(p *Policy, dir string, kept map[string]int) error {
	if resolved, err := filepath.EvalSymlinks(dir); err != nil || resolved != dir {
		return nil // it does not exist, or is a link
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	options := "mode=0700,nr_inodes=16384"
	if p.TmpBytes > 0 {
		options += fmt.Sprintf(",size=%d", p.TmpBytes)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		return err
	}
	for path, fd := range kept {
		if !within(path, dir) {
			continue
		}
		if err := place(fd, path); err != nil {
			return err
		}
	}
	if dir == hidden[0] {
		return nil
	}
	return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY|flags, options)
}

// place mounts a detached mount at a path.
func place(fd int, path string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	var err error
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.Mkdir(path, 0o700)
	} else {
		err = os.WriteFile(path, nil, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}
