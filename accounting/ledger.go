package accounting

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/internal/filelock"
)

// Ledger is a file of entries, open for appending. Any goroutine may call its methods.
// It is to be on a local file system.
type Ledger struct {
	path string

	mu     sync.Mutex
	file   ledgerFile
	count  uint64 // of records
	torn   bool   // bytes after the last record are still to be cut off
	totals map[series]Entry
}

// ledgerFile is what a Ledger does to its file.
type ledgerFile interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Datasync() error
}

// LedgerConfig describes a ledger. The zero value will do.
type LedgerConfig struct {
	// Logger gets a warning when a torn tail is cut off. It may be nil.
	Logger *slog.Logger
}

// ErrLedgerInUse means that another process, or this one, has the ledger open for
// appending.
var ErrLedgerInUse = errors.New("the ledger is in use: one process at a time appends to it")

// OpenLedger opens a ledger, which is made if necessary, and reads all of it. One that is
// open for appending already is ErrLedgerInUse. If a crash has cut an append short,
// what it left is cut off, with a warning; whole entries of it are kept. A last append
// that was damaged later cannot be told from that. Damage anywhere else is
// ErrLedgerDamaged, and changes nothing. The ledger is to be closed.
func OpenLedger(path string, cfg LedgerConfig) (*Ledger, error) {
	l, err := openLedger(path, cfg)
	if err != nil {
		return nil, fmt.Errorf("accounting: ledger %s: %w", path, err)
	}
	return l, nil
}

func openLedger(path string, cfg LedgerConfig) (*Ledger, error) {
	file, err := openOrCreateLedger(path)
	if err != nil {
		return nil, err
	}
	if err := filelock.Take(file); err != nil {
		file.Close()
		if err == filelock.ErrTaken {
			err = ErrLedgerInUse
		}
		return nil, err
	}
	l := &Ledger{path: path, file: diskFile{file}, totals: map[series]Entry{}}
	if err := l.load(file, cfg.Logger); err != nil {
		l.file.Close()
		return nil, err
	}
	return l, nil
}

func openOrCreateLedger(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if !errors.Is(err, fs.ErrNotExist) {
			return file, err
		}
		file, err = createWhole(path, []byte(ledgerHeader), true)
		if !errors.Is(err, fs.ErrExist) { // else another process was quicker
			return file, err
		}
	}
}

// load reads the totals and cuts a torn tail off.
func (l *Ledger) load(file *os.File, log *slog.Logger) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	l.count, err = scanLedger(file, info.Size(), func(number uint64, e Entry) error {
		if err := advance(l.totals, e); err != nil {
			return fmt.Errorf("%w: the record at byte %d: %w; nothing was changed: restore the file from a copy", ErrLedgerDamaged, recordAt(number), err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	end := recordAt(l.count)
	if end == info.Size() {
		return nil
	}
	if log != nil {
		log.Warn("a ledger's last append is incomplete: the rest of it is cut off",
			"path", l.path, "offset", end, "bytes", info.Size()-end)
	}
	l.torn = true
	return l.cut()
}

// advance puts an entry in place of the last one of its series, unless a value would
// go backward.
func advance(totals map[series]Entry, e Entry) error {
	key := e.series()
	if _, err := e.Usage.Sub(totals[key].Usage); err != nil {
		return fmt.Errorf("%v: %w", key, err)
	}
	totals[key] = e
	return nil
}

// cut cuts off what is after the last record.
func (l *Ledger) cut() error {
	if !l.torn {
		return nil
	}
	if err := l.file.Truncate(recordAt(l.count)); err != nil {
		return err
	}
	l.torn = false
	return nil
}

// Append appends entries in one write, and returns when they are durable. Fractions of
// seconds are dropped. If an entry is not allowed, or a value is less than in the last
// entry of the same node, epoch, tenant, lease and kind (measured or claimed), none is
// appended. After an error of the file, such as a full disk, none of them is in the
// ledger, and a later Append can succeed. A crash in the middle may leave the first
// ones of them.
func (l *Ledger) Append(entries ...Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(entries); err != nil {
		return fmt.Errorf("accounting: ledger %s: %w", l.path, err)
	}
	return nil
}

func (l *Ledger) append(entries []Entry) error {
	next, b, err := l.encode(entries)
	if err != nil || len(b) == 0 {
		return err
	}
	if l.file == nil {
		return os.ErrClosed
	}
	if err := l.cut(); err != nil {
		return fmt.Errorf("cutting off what an earlier append left: %w", err)
	}
	l.torn = true
	if _, err = l.file.WriteAt(b, recordAt(l.count)); err == nil {
		err = l.file.Datasync()
	}
	if err != nil {
		return errors.Join(err, l.cut())
	}
	l.torn = false
	l.count += uint64(len(entries))
	maps.Copy(l.totals, next)
	return nil
}

// encode checks entries and returns what the totals will be, and the records.
func (l *Ledger) encode(entries []Entry) (next map[series]Entry, b []byte, err error) {
	next = map[series]Entry{}
	b = make([]byte, 0, len(entries)*recordBytes)
	for i, e := range entries {
		if err := e.check(); err != nil {
			return nil, nil, fmt.Errorf("entry %d: %w", i, err)
		}
		e.At = time.Unix(e.At.Unix(), 0).UTC()
		key := e.series()
		if _, ok := next[key]; !ok {
			if last, ok := l.totals[key]; ok {
				next[key] = last
			}
		}
		if err := advance(next, e); err != nil {
			return nil, nil, fmt.Errorf("entry %d: %w", i, err)
		}
		b = (&record{Entry: e, first: l.count}).append(b)
	}
	return next, b, nil
}

// Totals is the last entry of each node, epoch, tenant, lease and kind, in that order.
func (l *Ledger) Totals() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.totals), func(a, b Entry) int { return a.series().compare(b.series()) })
}

// Close closes the file, which another process may then open.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	return file.Close()
}
