package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/internal/filelock"
)

// State is an agent's own folder, for what outlives the agent.
type State struct {
	Folder string
	// Epoch is the number of this start of an agent with the folder, from 1.
	Epoch uint64
	lock  *os.File
}

// OpenState takes a folder, which is made if necessary, and counts the start. One process
// at a time can have it.
func OpenState(folder string) (*State, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("agent: state: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("agent: state: %w", err)
	}
	s := &State{Folder: folder, lock: lock}
	if err := filelock.Take(lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("agent: the folder %s is another agent's: %w; end that one, or choose another folder", folder, err)
	}
	if s.Epoch, err = countStart(filepath.Join(folder, "epoch")); err != nil {
		lock.Close()
		return nil, err
	}
	return s, nil
}

// countStart adds one to the number in a file, and returns when that is durable.
func countStart(path string) (uint64, error) {
	var last uint64
	text, err := os.ReadFile(path)
	if err == nil {
		last, err = strconv.ParseUint(strings.TrimSuffix(string(text), "\n"), 10, 64)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return 0, fmt.Errorf("agent: the boot epoch in %s: %w; write a number there that is larger than all before", path, err)
	case last >= lease.MaxEpoch:
		return 0, fmt.Errorf("agent: the boot epoch in %s is the last one, %d; choose another folder and another name of the node", path, last)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "epoch-")
	if err != nil {
		return 0, fmt.Errorf("agent: state: %w", err)
	}
	defer os.Remove(f.Name()) // if it does not get its name
	_, err = fmt.Fprintln(f, last+1)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return 0, fmt.Errorf("agent: the boot epoch: %w", err)
	}
	return last + 1, nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// LedgerPath is where the ledger of the agent is.
func (s *State) LedgerPath() string { return LedgerPath(s.Folder) }

// LedgerPath is where the ledger of the agent with a state folder is.
func LedgerPath(folder string) string { return filepath.Join(folder, "ledger") }

// Close lets another agent have the folder.
func (s *State) Close() error {
	return errors.Join(filelock.Release(s.lock), s.lock.Close())
}
