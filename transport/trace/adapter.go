package trace

import (
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

// New makes an adapter that does what inner does, and records it. It takes
// ownership of inner. The Recorder remains the caller's; devices may share it.
func New(inner transport.Adapter, to *Recorder) transport.Adapter {
	a := &adapter{Adapter: inner, recorder: to}
	if shared, ok := inner.(transport.SharedReceiver); ok {
		return &sharingAdapter{adapter: a, inner: shared}
	}
	return a
}

// Of finds the Recorder of an adapter that is this package's, or decorates one
// that is. It is nil when there is none:
//
//	trace.Of(device.Adapter()).WriteText(os.Stderr)
func Of(adapter transport.Adapter) *Recorder {
	for {
		switch a := adapter.(type) {
		case interface{ tracedBy() *Recorder }:
			return a.tracedBy()
		case interface{ Unwrap() transport.Adapter }:
			adapter = a.Unwrap()
		default:
			return nil
		}
	}
}

// adapter decorates an adapter. Protection domains and regions are those of the
// inner adapter: they are not recorded.
type adapter struct {
	transport.Adapter
	recorder *Recorder
	atClose  func() error // writes the trace; nil for none
}

// Unwrap is the adapter inside.
func (a *adapter) Unwrap() transport.Adapter { return a.Adapter }

func (a *adapter) tracedBy() *Recorder { return a.recorder }

func (a *adapter) Capabilities() transport.Capabilities {
	caps := a.Adapter.Capabilities()
	caps.Notes = append(slices.Clip(caps.Notes), fmt.Sprintf("traced: the last %d posts and completions are kept", len(a.recorder.ring)))
	return caps
}

func (a *adapter) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	inner, err := a.Adapter.NewCQ(cfg)
	if err != nil {
		return nil, err
	}
	return &completionQueue{CQ: inner, recorder: a.recorder}, nil
}

func (a *adapter) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	cfg.SendCQ, cfg.RecvCQ = cfg.SendCQ.(*completionQueue).CQ, cfg.RecvCQ.(*completionQueue).CQ
	if cfg.SRQ != nil {
		cfg.SRQ = cfg.SRQ.(*sharedReceive).SRQ
	}
	inner, err := a.Adapter.NewQP(cfg)
	if err != nil {
		return nil, err
	}
	return &queuePair{QP: inner, recorder: a.recorder, conn: cfg.Conn}, nil
}

// sharingAdapter is an adapter whose inner one has shared receive queues.
type sharingAdapter struct {
	*adapter
	inner transport.SharedReceiver
}

func (a *sharingAdapter) NewSRQ(cfg transport.SRQConfig) (transport.SRQ, error) {
	cfg.CQ = cfg.CQ.(*completionQueue).CQ
	inner, err := a.inner.NewSRQ(cfg)
	if err != nil {
		return nil, err
	}
	return &sharedReceive{SRQ: inner, recorder: a.recorder}, nil
}

type completionQueue struct {
	transport.CQ
	recorder *Recorder
}

func (c *completionQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	n, err := c.CQ.Poll(dst, spins)
	if n > 0 {
		c.recorder.completed(dst[:n])
	}
	return n, err
}

type queuePair struct {
	transport.QP
	recorder *Recorder
	conn     uint32
}

func (q *queuePair) PostSend(wrs []transport.WorkRequest) (int, error) {
	at := q.recorder.now()
	n, err := q.QP.PostSend(wrs)
	q.recorder.posted(at, q.conn, wrs, n, err)
	return n, err
}

func (q *queuePair) PostRecv(wrs []transport.WorkRequest) (int, error) {
	at := q.recorder.now()
	n, err := q.QP.PostRecv(wrs)
	q.recorder.posted(at, q.conn, wrs, n, err)
	return n, err
}

type sharedReceive struct {
	transport.SRQ
	recorder *Recorder
}

func (s *sharedReceive) PostRecv(wrs []transport.WorkRequest) (int, error) {
	at := s.recorder.now()
	n, err := s.SRQ.PostRecv(wrs)
	s.recorder.posted(at, 0, wrs, n, err)
	return n, err
}
