//go:build amd64 || arm64

package confine

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// journal is a Host's file that lists the folders it makes, each before it is made. The Host
// holds the file's lock until it has removed them. A process that gets the lock knows that
// the Host is gone, and what it may have left. So a leftover folder cannot be confused with
// one that is being made.
type journal struct {
	*os.File
	name string // prefix of the names of all the Host's folders
}

const (
	hostPrefix    = "rfaas-host-" // of everything that Hosts make
	journalSuffix = ".host"
)

// Kinds of folders in a journal. Control groups have the names of their file systems.
const (
	groupKind  = "cgroup"
	group2Kind = "cgroup2"
	tmpKind    = "tmp"
)

// newJournal makes a Host's journal. Another Host's sweep can remove it before it is locked;
// it is empty then, so that another one is made.
func newJournal(folder string) (*journal, error) {
	const attempts = 100 // each can fail only for a sweep of another Host
	for range attempts {
		f, err := createJournal(folder)
		if err != nil {
			return nil, err
		}
		if j, err := lockJournal(f); j != nil || err != nil {
			return j, err
		}
	}
	return nil, fmt.Errorf("others remove what is made in %s: name another folder in HostConfig.LockFolder, or in TMPDIR", folder)
}

func createJournal(folder string) (*os.File, error) {
	path := filepath.Join(folder, hostPrefix+rand.Text()[:12]+journalSuffix)
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
}

// lockJournal locks a journal. If another process has locked or removed it, it returns nil
// and closes the file.
func lockJournal(f *os.File) (*journal, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &st)
	}
	if err == nil && st.Nlink > 0 && st.Mode&unix.S_IFMT == unix.S_IFREG && int(st.Uid) == os.Geteuid() {
		return &journal{f, strings.TrimSuffix(filepath.Base(f.Name()), journalSuffix)}, nil
	}
	f.Close()
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
}

// orphans are the journals of this user's Hosts that are gone, locked.
func orphans(folder string) (found []*journal, err error) {
	paths, err := filepath.Glob(filepath.Join(folder, hostPrefix+"*"+journalSuffix))
	for _, path := range paths {
		f, openErr := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
		if openErr != nil {
			continue // it was removed just now, or is another user's
		}
		j, lockErr := lockJournal(f)
		if err = errors.Join(err, lockErr); j != nil {
			found = append(found, j)
		}
	}
	return found, err
}

// record enters a folder that will be made.
func (j *journal) record(kind, path string) error {
	_, err := fmt.Fprintf(j, "%s %q\n", kind, path)
	return err
}

// folder is an entry of a journal.
type folder struct{ kind, path string }

// folders are the entries whose folders exist. An entry without the Host's name is not its
// own.
func (j *journal) folders() (found []folder, err error) {
	lines := bufio.NewScanner(io.NewSectionReader(j, 0, math.MaxInt64))
	for lines.Scan() {
		var f folder
		if _, err := fmt.Sscanf(lines.Text(), "%s %q", &f.kind, &f.path); err != nil || !strings.HasPrefix(filepath.Base(f.path), j.name) {
			continue
		}
		if _, err := os.Lstat(f.path); !errors.Is(err, os.ErrNotExist) {
			found = append(found, f)
		}
	}
	return found, lines.Err()
}

// removeGroups removes the Host's control groups, and kills the processes in them.
func (j *journal) removeGroups() (removed []string, err error) {
	return j.remove([]string{groupKind, group2Kind}, func(f folder) error { return removeTree(f.path, f.kind == group2Kind) })
}

// removeTmp removes the Host's temporary files.
func (j *journal) removeTmp() (removed []string, err error) {
	return j.remove([]string{tmpKind}, func(f folder) error { return os.RemoveAll(f.path) })
}

func (j *journal) remove(kinds []string, remove func(folder) error) (removed []string, err error) {
	list, err := j.folders()
	for _, f := range list {
		if !slices.Contains(kinds, f.kind) {
			continue
		}
		if e := remove(f); e != nil {
			err = errors.Join(err, e)
			continue
		}
		removed = append(removed, f.path)
	}
	return removed, err
}

// close releases the lock, and removes the journal unless folders of it are left.
func (j *journal) close() error {
	list, err := j.folders()
	if err == nil && len(list) == 0 {
		err = ignoreGone(unix.Unlink(j.Name()))
	}
	return errors.Join(err, j.Close())
}
