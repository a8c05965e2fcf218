package trace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rfaas-go/rfaas/internal/filelock"
)

// traceFile is where a trace will be written. A regular file is locked until then: two
// that write to one file would leave parts of both.
type traceFile struct {
	*os.File
	locked bool
}

// pidPattern in a file's name stands for the process ID.
const pidPattern = "{pid}"

// writing is in a file until its trace is.
const writing = "# being written by process %d\n"

// openFile opens and locks a file, and empties it.
func openFile(path string) (f traceFile, err error) {
	f.File, err = os.OpenFile(strings.ReplaceAll(path, pidPattern, strconv.Itoa(os.Getpid())), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return f, fmt.Errorf("trace: parameter %s: %w", fileParameter, err)
	}
	opened := f.File
	defer func() {
		if err != nil {
			opened.Close()
		}
	}()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return f, err
	}
	switch err := filelock.Take(f.File); {
	case errors.Is(err, filelock.ErrTaken):
		extension := filepath.Ext(path)
		return f, fmt.Errorf("trace: %s is being written by %s; give each its own, as in %s=%s",
			f.Name(), f.writer(), fileParameter, strings.TrimSuffix(path, extension)+"-"+pidPattern+extension)
	case err != nil:
		return f, fmt.Errorf("trace: locking %s: %w", f.Name(), err)
	}
	f.locked = true
	if err := f.Truncate(0); err != nil {
		return f, fmt.Errorf("trace: %w", err)
	}
	if _, err := fmt.Fprintf(f, writing, os.Getpid()); err != nil {
		return f, fmt.Errorf("trace: %w", err)
	}
	return f, nil
}

// writer says who has locked the file.
func (f traceFile) writer() string {
	var pid int
	switch _, err := fmt.Fscanf(f, writing, &pid); {
	case err != nil:
		return "another process"
	case pid == os.Getpid():
		return "another device of this process"
	default:
		return fmt.Sprintf("another process (pid %d)", pid)
	}
}

// write writes the trace.
func (f traceFile) write(r *Recorder) error {
	if f.locked {
		if err := f.Truncate(0); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	return r.WriteText(f)
}

func (f traceFile) close() error {
	if f.locked {
		return errors.Join(filelock.Release(f.File), f.Close())
	}
	return f.Close()
}
