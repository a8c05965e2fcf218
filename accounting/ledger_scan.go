package accounting

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// ErrLedgerDamaged means that a ledger is not as it was written.
var ErrLedgerDamaged = errors.New("the ledger is damaged")

// ReadLedger reads the entries of a ledger, in the order in which they were appended,
// up to those that are there at the beginning. It may run while another process
// appends, and changes nothing. A tail that a crash has cut is left out. Damage
// anywhere else is ErrLedgerDamaged; an error is the last thing that is yielded.
func ReadLedger(path string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		stopped := false
		err := readLedger(path, func(e Entry) bool {
			stopped = !yield(e, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Entry{}, fmt.Errorf("accounting: ledger %s: %w", path, err))
		}
	}
}

func readLedger(path string, yield func(Entry) bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	_, err = scanLedger(file, info.Size(), func(_ uint64, e Entry) error {
		if !yield(e) {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

var errStop = errors.New("the reader has stopped")

// scanLedger calls each with the number and the entry of every record in the first
// size bytes of r, and returns how many there are. Less than all of the bytes are
// records if the tail is torn: an append is incomplete.
func scanLedger(r io.ReaderAt, size int64, each func(number uint64, e Entry) error) (count uint64, err error) {
	if err := checkLedgerHeader(r); err != nil {
		return 0, err
	}
	for b, err := range recordsOf(r, size, 0) {
		if err != nil {
			return count, err
		}
		record, err := decodeRecord(b)
		if err != nil || record.first > count {
			return count, tornAt(r, size, count)
		}
		if err := each(count, record.Entry); err != nil {
			return count, err
		}
		count++
	}
	return count, nil
}

func checkLedgerHeader(r io.ReaderAt) error {
	b := make([]byte, ledgerHeaderBytes)
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch have := string(b[:n]); {
	case have == ledgerHeader:
		return nil
	case n == len(ledgerHeader) && have[:len(ledgerMagic)] == ledgerMagic:
		return fmt.Errorf("%w: it begins with %q: this program reads version %s; use the program that wrote it, or restore it from a copy", ErrLedgerDamaged, have, ledgerVersion)
	default:
		return fmt.Errorf("%w: at byte 0 is %q and not %q: it is no ledger, or must be restored from a copy", ErrLedgerDamaged, have, ledgerHeader)
	}
}

// recordsOf yields the bytes of each whole record from a number on, valid until the
// next one.
func recordsOf(r io.ReaderAt, size int64, number uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		section := io.NewSectionReader(r, recordAt(number), size-recordAt(number))
		in := bufio.NewReaderSize(section, 256*recordBytes)
		b := make([]byte, recordBytes)
		for {
			_, err := io.ReadFull(in, b)
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// tornAt decides what a bad record is. Each append is durable before the next one
// begins, so that a torn one has no whole record of a later append after it; after
// damage there can be. nil means torn.
func tornAt(r io.ReaderAt, size int64, bad uint64) error {
	for b, err := range recordsOf(r, size, bad+1) {
		if err != nil {
			return err
		}
		if record, err := decodeRecord(b); err == nil && record.first > bad {
			at := recordAt(bad)
			return fmt.Errorf("%w: the record at byte %d is bad, and good ones follow; nothing was changed: restore the file from a copy, or give up what was entered since with truncate --size=%d", ErrLedgerDamaged, at, at)
		}
	}
	return nil
}
