package transporttest_test

import (
	"context"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// This file is a decorator that breaks one rule of the interface, "how" in the
// URL, to see whether the suite notices.

func init() {
	transport.RegisterDecorator("broken", func(inner transport.Adapter, params url.Values) (transport.Adapter, error) {
		return &brokenAdapter{Adapter: inner, how: params.Get("how")}, nil
	}, "how")
}

type brokenAdapter struct {
	transport.Adapter
	how string
}

func (a *brokenAdapter) NewPD() (transport.PD, error) {
	pd, err := a.Adapter.NewPD()
	return &brokenPD{PD: pd, how: a.how}, err
}

func (a *brokenAdapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	cfg.Depth += 100 // room for what "depth" lets in
	cq, err := a.Adapter.NewCQ(cfg)
	return &brokenCQ{CQ: cq, how: a.how}, err
}

func (a *brokenAdapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	cfg.PD, cfg.CQ = cfg.PD.(*brokenPD).PD, cfg.CQ.(*brokenCQ).CQ
	return a.Adapter.(transport.SharedReceiver).NewSRQ(cfg)
}

func (a *brokenAdapter) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	cfg.PD, cfg.SendCQ, cfg.RecvCQ = cfg.PD.(*brokenPD).PD, cfg.SendCQ.(*brokenCQ).CQ, cfg.RecvCQ.(*brokenCQ).CQ
	switch a.how {
	case "depth":
		cfg.SendDepth++
	case "drained":
		cfg.Drained = func() {}
	case "failed":
		cfg.Failed = func(error) {}
	}
	qp, err := a.Adapter.NewQP(cfg)
	return &brokenQP{QP: qp, how: a.how}, err
}

type brokenPD struct {
	transport.PD
	how string
}

func (p *brokenPD) Alloc(size int, access transport.Access) (transport.MR, error) {
	switch p.how {
	case "access":
		access = transport.RemoteAll
	case "descriptor":
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		leaked = append(leaked, r, w)
	case "goroutine":
		go func() { select {} }()
	}
	mr, err := p.PD.Alloc(size, access)
	if err == nil && p.how == "revoke" {
		mr = brokenMR{mr}
	}
	return mr, err
}

func (p *brokenPD) Register(mem []byte, access transport.Access) (transport.MR, error) {
	if p.how == "advertise" {
		return nil, transport.ErrNotSupported
	}
	return p.PD.(transport.Registrar).Register(mem, access)
}

// leaked keeps descriptors from being closed by the garbage collector.
var leaked []*os.File

func (p *brokenPD) Close() error {
	if p.how == "revoke" {
		return nil
	}
	return p.PD.Close()
}

// brokenMR stays within reach for ever.
type brokenMR struct{ transport.MR }

func (brokenMR) Revoke()      {}
func (brokenMR) Close() error { return nil }

type brokenQP struct {
	transport.QP
	how   string
	count int
}

func (q *brokenQP) PostSend(wrs []transport.WorkRequest) (int, error) {
	for i := range wrs {
		w := &wrs[i]
		q.count++
		switch {
		case q.how == "truncate" && w.Op == transport.OpWrite && w.Local.Len() > 65536 && w.Flags&transport.Inline == 0:
			w.Local = w.Local.Slice(0, w.Local.Len()-1)
		case q.how == "signal":
			w.Flags |= transport.Signaled
		case q.how == "immediate":
			w.Imm &= 0x7fffffff
		case q.how == "add" && w.Op == transport.OpFetchAdd && q.count%100 == 0:
			*w = transport.FetchAdd(w.ID, w.Local, w.Remote, 0).With(w.Flags)
		case q.how == "second" && w.Op == transport.OpSend && w.SecondSpan().Len() == 64:
			*w = w.WithSecondSpan(w.SecondSpan().Slice(0, 63))
		}
	}
	if q.how == "allocate" {
		garbage.Store(new([64]byte))
	}
	return q.QP.PostSend(wrs)
}

var garbage atomic.Pointer[[64]byte]

type brokenCQ struct {
	transport.CQ
	how   string
	count int
	again *transport.Completion
}

func (c *brokenCQ) Poll(dst []transport.Completion, spins int) (int, error) {
	if c.again != nil && len(dst) > 0 {
		dst[0], c.again = *c.again, nil
		return 1, nil
	}
	n, err := c.CQ.Poll(dst, spins)
	for i := range dst[:n] {
		d := &dst[i]
		c.count++
		switch c.how {
		case "status":
			if d.Status == transport.StatusRemoteAccess {
				d.Status = transport.StatusRemoteOperation
			}
		case "flush":
			if d.Status == transport.StatusFlushed {
				d.Status = transport.StatusRetryExceeded
			}
		case "bytes":
			if d.Op == transport.OpRecv && d.Bytes == 1 {
				d.Bytes = 0
			}
		case "connection":
			d.Conn = 1
		}
	}
	switch {
	case c.how == "lose" && n > 0 && c.count%50 == 0:
		n--
	case c.how == "double" && n > 0 && c.count%50 == 0:
		c.again = new(transport.Completion)
		*c.again = dst[n-1]
	case c.how == "swap" && n > 1:
		dst[0], dst[1] = dst[1], dst[0]
	}
	return n, err
}

// Arm, when broken, forgets what happened since the last poll; Wait, what happens
// later.
func (c *brokenCQ) Wait(ctx context.Context) error {
	switch c.how {
	case "wake":
		<-ctx.Done()
		return ctx.Err()
	case "cancel":
		err := c.CQ.Wait(ctx)
		if ctx.Err() != nil { // throws away what came
			var got [4]transport.Completion
			c.CQ.Poll(got[:], 1000)
		}
		return err
	case "close":
		for ctx.Err() == nil {
			if err := c.CQ.Wait(ctx); err == nil {
				return nil
			}
		}
		return ctx.Err()
	}
	return c.CQ.Wait(ctx)
}

func (c *brokenCQ) Arm(solicitedOnly bool) (bool, error) {
	if c.how == "solicited" {
		solicitedOnly = false
	}
	return c.CQ.Arm(solicitedOnly)
}
