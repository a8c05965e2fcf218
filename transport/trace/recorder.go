package trace

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// Recorder keeps the most recent records of one or more devices. Its methods may
// be called from anywhere.
type Recorder struct {
	start time.Time

	mu   sync.Mutex
	ring []Record
	at   int    // where the next record goes
	made uint64 // records ever made
}

const (
	defaultRecords = 1 << 16
	maxRecords     = 1 << 24
)

// NewRecorder makes a Recorder that keeps the given number of records, 32 bytes
// each, at least one.
func NewRecorder(records int) *Recorder {
	return &Recorder{start: time.Now(), ring: make([]Record, max(records, 1))}
}

// now is the time to be recorded.
func (r *Recorder) now() int64 { return int64(time.Since(r.start)) }

// next is the entry for the next record. The Recorder is locked.
func (r *Recorder) next() *Record {
	record := &r.ring[r.at]
	r.made++
	if r.at++; r.at == len(r.ring) {
		r.at = 0
	}
	return record
}

// posted records requests that one call posted, of which taken were taken.
func (r *Recorder) posted(at int64, conn uint32, wrs []transport.WorkRequest, taken int, err error) {
	if err == transport.ErrQueueFull {
		wrs = wrs[:taken+1]
	} else {
		wrs = wrs[:taken]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range wrs {
		wr := &wrs[i]
		event := Posted
		if i == taken {
			event = Refused
		}
		*r.next() = Record{
			Nanoseconds: at, ID: wr.ID, Conn: conn, Bytes: uint32(wr.Bytes()), Imm: wr.Imm,
			Event: event, Op: wr.Op, Flags: wr.Flags,
		}
	}
}

// completed records completions that were polled.
func (r *Recorder) completed(cs []transport.Completion) {
	at := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range cs {
		c := &cs[i]
		*r.next() = Record{
			Nanoseconds: at, ID: c.ID, Conn: c.Conn, Bytes: c.Bytes, Imm: c.Imm,
			Event: Completed, Op: c.Op, Status: c.Status,
		}
	}
}

// Records copies what is recorded, ordered by time.
func (r *Recorder) Records() []Record {
	records, _ := r.snapshot()
	return records
}

// Dropped is the number of records that were overwritten by later ones.
func (r *Recorder) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made - r.kept()
}

// kept is the number of records in the ring.
func (r *Recorder) kept() uint64 { return min(r.made, uint64(len(r.ring))) }

func (r *Recorder) snapshot() (records []Record, dropped uint64) {
	r.mu.Lock()
	kept := r.kept()
	dropped = r.made - kept
	records = make([]Record, 0, kept)
	if kept == uint64(len(r.ring)) {
		records = append(records, r.ring[r.at:]...) // the older ones
	}
	records = append(records, r.ring[:r.at]...)
	r.mu.Unlock()
	// A post is recorded with the time before the provider had it, perhaps later
	// in the ring than its completion.
	slices.SortStableFunc(records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Nanoseconds, b.Nanoseconds), cmp.Compare(a.Event, b.Event))
	})
	return records, dropped
}

// WriteText writes the records as text, in the format that the package comment
// shows.
func (r *Recorder) WriteText(w io.Writer) error {
	records, dropped := r.snapshot()
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# %d records, %d older ones dropped\n# time_ns conn event op id bytes status\n", len(records), dropped)
	var line []byte
	for i := range records {
		line = records[i].appendText(line[:0])
		out.Write(line)
	}
	return out.Flush()
}

// Log writes the records to a logger: what failed at slog.LevelWarn, the rest at
// slog.LevelDebug.
func (r *Recorder) Log(ctx context.Context, logger *slog.Logger) {
	records, dropped := r.snapshot()
	if dropped > 0 {
		logger.LogAttrs(ctx, slog.LevelWarn, "transport trace: older records were dropped", slog.Uint64("dropped", dropped))
	}
	for i := range records {
		rec := &records[i]
		level := slog.LevelDebug
		if rec.Status != transport.StatusOK {
			level = slog.LevelWarn
		}
		logger.LogAttrs(ctx, level, "transport "+rec.Event.String(),
			slog.Int64("time_ns", rec.Nanoseconds), slog.Uint64("conn", uint64(rec.Conn)), slog.String("op", rec.Op.String()),
			slog.Uint64("id", rec.ID), slog.Uint64("bytes", uint64(rec.Bytes)), slog.String("status", rec.outcome()))
	}
}
