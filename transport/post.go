package transport

import "fmt"

// stageLength is how many requests go to the provider in one call.
const stageLength = 32

// Post hands send-side requests (Send, Write, WriteImm, Read, FetchAdd,
// CompareSwap) to the device in order, batched, and returns how many it took:
// all, or fewer with an error. It never blocks.
//
// The requests themselves are copied; their local memory belongs to the device
// until they complete (see the package comment). One goroutine at a time posts
// sends on a connection; another gets ErrConcurrentUse. Errors: ErrQueueFull
// (poll, then post the rest), ErrInvalid, ErrOutOfRange, ErrNotSupported (the
// request at the returned index is at fault), ErrClosed. On a connection in
// error requests are taken and complete as flushed.
//
// The rules are those of ibv_post_send for reliable connections (InfiniBand
// Architecture Specification, volume 1, chapters 9 to 11).
func (c *Conn) Post(wrs ...WorkRequest) (int, error) {
	if !c.sending.try() {
		if err := c.sending.acquireSlow(); err != nil {
			return 0, c.dev.opError("post", ScopeRequest, err)
		}
	}
	n, err := c.postSend(wrs)
	c.sending.Release()
	return n, err
}

func (c *Conn) postSend(wrs []WorkRequest) (int, error) {
	done := 0
	for done < len(wrs) {
		staged, invalid := 0, error(nil)
		for staged < len(c.sendStage) && done+staged < len(wrs) {
			wr := &c.sendStage[staged]
			wr.set(&wrs[done+staged])
			if invalid = c.checkSend(wr); invalid != nil {
				break
			}
			staged++
		}
		n, err := c.qp.PostSend(c.sendStage[:staged])
		done += n
		if err != nil {
			return done, c.dev.postError("post", err)
		}
		if invalid != nil {
			return done, invalid
		}
	}
	return done, nil
}

// checkSend validates a staged request and translates its keys.
func (c *Conn) checkSend(wr *WorkRequest) error {
	if !c.sendOps.Has(wr.Op) || wr.Flags&^allFlags != 0 {
		return c.badRequest(wr)
	}
	if wr.Op == OpFetchAdd || wr.Op == OpCompareSwap {
		if wr.Local.len != 8 || wr.Remote.Len < 8 || wr.Remote.Addr%8 != 0 || wr.Flags&Inline != 0 || !c.pd.resolve(&wr.Local) {
			return c.badRequest(wr)
		}
		return nil
	}
	second := wr.SecondSpan()
	total := wr.Bytes()
	if total > c.maxMessage ||
		wr.Op != OpSend && total > uint64(wr.Remote.Len) ||
		wr.Flags&Inline != 0 && (wr.Op == OpRead || total > uint64(c.inlineBytes)) ||
		!c.pd.resolve(&wr.Local) {
		return c.badRequest(wr)
	}
	if second.len != 0 {
		if !c.pd.resolve(&second) {
			return c.badRequest(wr)
		}
		wr.setSecondSpan(second)
	}
	return nil
}

// badRequest is the error for a request that checkSend refused.
func (c *Conn) badRequest(wr *WorkRequest) error {
	fail := func(err error) error {
		return c.dev.opError(fmt.Sprintf("post %v (request %d)", wr.Op, wr.ID), ScopeRequest, err)
	}
	total := wr.Bytes()
	local, second := wr.Local, wr.SecondSpan()
	atomic := wr.Op == OpFetchAdd || wr.Op == OpCompareSwap
	switch {
	case wr.Op == OpRecv || wr.Op == OpRecvImm || wr.Op == OpInvalid || wr.Op >= opCount:
		return fail(fmt.Errorf("%w: Post takes sends, writes, reads and atomics; receives go to PostRecv", ErrInvalid))
	case !c.sendOps.Has(wr.Op):
		return fail(fmt.Errorf("%w: this provider has no %v", ErrNotSupported, wr.Op))
	case wr.Flags&^allFlags != 0:
		return fail(fmt.Errorf("%w: unknown flags %#x", ErrInvalid, wr.Flags&^allFlags))
	case atomic && wr.Flags&Inline != 0, wr.Op == OpRead && wr.Flags&Inline != 0:
		return fail(fmt.Errorf("%w: only Send, Write and WriteImm can be inline", ErrInvalid))
	case atomic && local.len != 8:
		return fail(fmt.Errorf("%w: the result of an atomic takes 8 bytes, not %d", ErrInvalid, local.len))
	case atomic && wr.Remote.Addr%8 != 0:
		return fail(fmt.Errorf("%w: the remote word at %#x is not 8-byte aligned", ErrInvalid, wr.Remote.Addr))
	case atomic && wr.Remote.Len < 8:
		return fail(fmt.Errorf("%w: the remote span has %d bytes, an atomic needs 8", ErrOutOfRange, wr.Remote.Len))
	case total > c.maxMessage:
		return fail(fmt.Errorf("%w: %d bytes; this provider moves at most %d in one request", ErrOutOfRange, total, c.maxMessage))
	case wr.Op != OpSend && total > uint64(wr.Remote.Len):
		return fail(fmt.Errorf("%w: %d bytes to or from a remote span of %d", ErrOutOfRange, total, wr.Remote.Len))
	case wr.Flags&Inline != 0 && total > uint64(c.inlineBytes):
		return fail(fmt.Errorf("%w: %d bytes inline; this connection was made with InlineBytes %d", ErrOutOfRange, total, c.inlineBytes))
	case !c.pd.resolve(&local) || !c.pd.resolve(&second):
		return fail(errSpan)
	}
	return fail(ErrInvalid)
}

var errSpan = fmt.Errorf("%w: a local span's region is closed or belongs to another protection domain", ErrInvalid)

// PostRecv offers the memory of Recv requests for the peer's Sends, in order,
// and returns how many it took. Each WriteImm of the peer takes one, too. The
// memory belongs to the device until the receive completes. One goroutine at a
// time posts receives on a connection (another may post sends at the same
// time). Errors are those of Post; a connection made with a SharedReceive has
// no receives of its own.
func (c *Conn) PostRecv(wrs ...WorkRequest) (int, error) {
	if c.shared != nil {
		return 0, c.dev.opError("post recv", ScopeRequest, fmt.Errorf("%w: the connection takes from a shared receive queue; post there", ErrInvalid))
	}
	if err := c.receiving.Acquire(); err != nil {
		return 0, c.dev.opError("post recv", ScopeRequest, err)
	}
	n, err := postRecv(c.pd, c.qp, wrs, &c.recvStage)
	c.receiving.Release()
	return n, err
}

// receiver is what QP and SRQ have in common.
type receiver interface {
	PostRecv(wrs []WorkRequest) (int, error)
}

func postRecv(p *ProtectionDomain, to receiver, wrs []WorkRequest, stage *[stageLength]WorkRequest) (int, error) {
	done := 0
	for done < len(wrs) {
		staged, invalid := 0, error(nil)
		for staged < len(stage) && done+staged < len(wrs) {
			wr := &stage[staged]
			wr.set(&wrs[done+staged])
			if invalid = p.checkRecv(wr); invalid != nil {
				break
			}
			staged++
		}
		n, err := to.PostRecv(stage[:staged])
		done += n
		if err != nil {
			return done, p.dev.postError("post recv", err)
		}
		if invalid != nil {
			return done, invalid
		}
	}
	return done, nil
}

func (p *ProtectionDomain) checkRecv(wr *WorkRequest) error {
	second := wr.SecondSpan()
	ok := wr.Op == OpRecv && wr.Flags&^Signaled == 0 && p.resolve(&wr.Local)
	if ok && second.len != 0 {
		if ok = p.resolve(&second); ok {
			wr.setSecondSpan(second)
		}
	}
	if ok {
		return nil
	}
	err := errSpan
	switch {
	case wr.Op != OpRecv:
		err = fmt.Errorf("%w: PostRecv takes Recv requests only", ErrInvalid)
	case wr.Flags&^Signaled != 0:
		err = fmt.Errorf("%w: flags %#x; a receive takes none (it is always signaled)", ErrInvalid, wr.Flags)
	}
	return p.dev.opError(fmt.Sprintf("post %v (request %d)", wr.Op, wr.ID), ScopeRequest, err)
}

// postError passes the expected errors on as they are, without an allocation.
func (d *Device) postError(op string, err error) error {
	if err == ErrQueueFull {
		return err
	}
	return d.opError(op, ScopeConnection, err)
}
