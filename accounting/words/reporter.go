package words

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/transport"
)

// Account is what an agent knows: absolute values of a tenant in an epoch.
type Account struct {
	Epoch             uint64
	Tenant            string
	Measured, Claimed accounting.Usage
}

// ReporterConfig describes a reporter.
type ReporterConfig struct {
	Device *transport.Device // the caller's
	// Dial opens a stream to the manager's address.
	Dial  func(ctx context.Context) (net.Conn, error)
	Node  string
	Epoch uint64
	Token []byte
	// Accounts returns the current values, which never decrease. Accounts that were told
	// before may be left out.
	Accounts func() []Account
	// Told is called when the manager has added all of an account, Kept when its ledger has
	// all of one of an earlier epoch, which can be forgotten then. Either may be nil.
	Told, Kept func(Account)
	// Every is the interval of reports: 1 s if 0.
	Every time.Duration
	// Logger may be nil.
	Logger *slog.Logger
}

// Report adds what the manager lacks, until the context ends, and once more then, as far
// as it can be reached. It connects again when the connection is lost.
func Report(ctx context.Context, cfg ReporterConfig) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Every == 0 {
		cfg.Every = time.Second
	}
	const least, most = 10 * time.Millisecond, 5 * time.Second
	said := "" // the last reason
	for pause := least; ; pause = min(2*pause, most) {
		told, err := report(ctx, &cfg)
		if ctx.Err() != nil {
			return
		}
		level, reason := slog.LevelDebug, fmt.Sprint(err)
		if told || reason != said { // once for each reason, however long the manager is away
			level = slog.LevelWarn
		}
		said = reason
		cfg.Logger.Log(ctx, level, "usage cannot be reported to the manager, and will be later", "reason", reason)
		if told {
			pause = least
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return
		}
	}
}

// reporter is one connection.
type reporter struct {
	cfg    *ReporterConfig
	conn   *transport.Conn
	domain *transport.ProtectionDomain
	queue  *transport.Queue
	region *transport.Region // a message each way, and the words of a row
	words  transport.RemoteSpan
	told   map[account]*row
}

type account struct {
	epoch  uint64
	tenant string
}

// row is what the manager's words say.
type row struct {
	number int
	values [kinds]accounting.Usage
	ahead  bool // it was said that there is more than this node knows of
}

// Offsets in the reporter's region.
const (
	sendAt = 0
	recvAt = messageBytes
	rowAt  = 2 * messageBytes
)

// lastPatience is how long the last report may take after the context has ended.
const lastPatience = time.Second

// report reports over one connection. told: the manager was told something.
func report(ctx context.Context, cfg *ReporterConfig) (told bool, err error) {
	r := &reporter{cfg: cfg, told: map[account]*row{}}
	defer func() { err = errors.Join(err, r.free()) }()
	if err := r.connect(ctx); err != nil {
		return false, err
	}
	// What is under way when the context ends may still finish, within lastPatience.
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastPatience, cancel) })()
	ticker := time.NewTicker(cfg.Every)
	defer ticker.Stop()
	for {
		last := ctx.Err() != nil
		// After an error it is not known which adds were done: only reading tells, over
		// another connection.
		if err := r.tell(patient); err != nil || last {
			return len(r.told) > 0, err
		}
		select {
		case <-ticker.C:
		case <-r.conn.Done():
			return len(r.told) > 0, r.conn.Err()
		case <-ctx.Done():
		}
	}
}

func (r *reporter) connect(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	stream, err := r.cfg.Dial(ctx)
	if err != nil {
		return err
	}
	if r.domain, err = r.cfg.Device.NewProtectionDomain(); err == nil {
		r.queue, err = r.cfg.Device.NewQueue(2 * rowBytes / 8)
	}
	if err == nil {
		r.region, err = r.domain.Alloc(rowAt+rowBytes, transport.LocalOnly)
	}
	if err != nil {
		stream.Close()
		return err
	}
	h := hello{r.cfg.Node, r.cfg.Epoch, r.cfg.Token}
	r.conn, err = r.cfg.Device.Connect(ctx, stream, transport.ConnConfig{
		Domain: r.domain, SendQueue: r.queue, RecvQueue: r.queue, SendDepth: rowBytes / 8, RecvDepth: 1, PrivateData: h.encode(),
		Authorize: func(_ context.Context, peer transport.Peer) (err error) {
			r.words, err = decodeAnswer(peer.PrivateData)
			return err
		},
	})
	return err
}

func (r *reporter) free() error {
	var errs []error
	if r.conn != nil {
		errs = append(errs, r.conn.Close())
	}
	if r.region != nil {
		errs = append(errs, r.region.Close())
	}
	if r.queue != nil {
		errs = append(errs, r.queue.Close())
	}
	if r.domain != nil {
		errs = append(errs, r.domain.Close())
	}
	return errors.Join(errs...)
}

// tell adds what the manager lacks of all accounts.
func (r *reporter) tell(ctx context.Context) error {
	for _, a := range r.cfg.Accounts() {
		k := account{a.Epoch, a.Tenant}
		w := r.told[k]
		if w == nil {
			var err error
			if w, err = r.open(ctx, k); err != nil {
				return err
			}
			if w == nil {
				continue // there is no room for it
			}
			r.told[k] = w
		}
		if err := r.add(ctx, w, [kinds]accounting.Usage{a.Measured, a.Claimed}); err != nil {
			return fmt.Errorf("tenant %s, epoch %d: %w", a.Tenant, a.Epoch, err)
		}
		if r.cfg.Told != nil {
			r.cfg.Told(a)
		}
		if r.cfg.Kept == nil || a.Epoch >= r.cfg.Epoch {
			continue
		}
		if _, err := r.open(ctx, k); err != nil {
			return err // it is reported again
		}
		r.cfg.Kept(a)
	}
	return nil
}

// open asks for a row and reads it. Where it was asked for before, the manager has written
// what it says before it answers.
func (r *reporter) open(ctx context.Context, k account) (*row, error) {
	if err := r.region.Hold(); err != nil {
		return nil, err
	}
	defer r.region.Release()
	memory := r.region.Bytes()
	m := message{epoch: k.epoch, tenant: k.tenant}
	m.encode(memory[sendAt:])
	if _, err := r.conn.PostRecv(transport.Recv(0, r.region.Span(recvAt, messageBytes))); err != nil {
		return nil, err
	}
	if err := r.post(ctx, 2, transport.Send(1, r.region.Span(sendAt, messageBytes)).With(transport.Signaled|transport.Solicited)); err != nil {
		return nil, err
	}
	m, err := decodeMessage(memory[recvAt:][:messageBytes])
	if err != nil || m.row > rows || m.tenant != k.tenant || m.epoch != k.epoch {
		return nil, errors.Join(errors.New("the manager's answer is not to what was asked"), err)
	}
	if m.row == 0 {
		r.cfg.Logger.Error("the manager has no room for the account of a tenant", "tenant", k.tenant)
		return nil, nil
	}
	w := &row{number: int(m.row) - 1}
	if err := r.post(ctx, 1, transport.Read(1, r.region.Span(rowAt, rowBytes), r.remote(w, 0, rowBytes)).With(transport.Signaled)); err != nil {
		return nil, err
	}
	for kind := range kinds {
		for q := range accounting.Quantity(accounting.Quantities) {
			w.values[kind][q] = r.region.Uint64(rowAt + wordAt(kind, q)).Load()
		}
	}
	return w, nil
}

// remote names a part of a row.
func (r *reporter) remote(w *row, off, length int) transport.RemoteSpan {
	return transport.RemoteSpan{Addr: r.words.Addr + uint64(w.number*rowBytes+off), Len: uint32(length), Key: r.words.Key}
}

// add brings a row to values: one add a word, all under way at once.
func (r *reporter) add(ctx context.Context, w *row, values [kinds]accounting.Usage) error {
	var adds []transport.WorkRequest
	next := w.values
	for kind := range kinds {
		for q := range accounting.Quantity(accounting.Quantities) {
			have, want := w.values[kind][q], values[kind][q]
			if want < have && !w.ahead {
				w.ahead = true
				r.cfg.Logger.Error("the manager has more of an account than this node knows of; nothing is taken back", "quantity", q.String(), "manager", have, "node", want)
			}
			if want > have {
				next[kind][q] = want
				at := wordAt(kind, q)
				adds = append(adds, transport.FetchAdd(uint64(len(adds)), r.region.Span(rowAt+at, 8), r.remote(w, at, 8), want-have).With(transport.Signaled))
			}
		}
	}
	if len(adds) == 0 {
		return nil
	}
	if err := r.post(ctx, len(adds), adds...); err != nil {
		return err
	}
	w.values = next
	return nil
}

// post posts requests and waits for a number of completions. After an error the
// connection is of no use: what became of the requests is not known.
func (r *reporter) post(ctx context.Context, completions int, wrs ...transport.WorkRequest) error {
	if _, err := r.conn.Post(wrs...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { r.conn.Close() })()
	var got [rowBytes / 8]transport.Completion
	for completions > 0 {
		n, err := r.queue.Wait(ctx, got[:], 0)
		if err != nil {
			return err
		}
		for i := range got[:n] {
			if err := got[i].Err(); err != nil {
				return errors.Join(err, r.conn.Err())
			}
		}
		completions -= n
	}
	return nil
}
