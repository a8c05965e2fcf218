package invoke

import (
	"fmt"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/rfaas-go/rfaas/transport"
)

// Why calls are not started.
const (
	revokedMessage  = "the worker is being taken away and starts no calls any more"
	canceledMessage = "the caller gave up before the call was started"
	expiredMessage  = "the deadline had passed before the call was started"
)

// prepare reads the header of a request that says more than its immediate data, and
// reports whether the call is to be executed. Otherwise it was answered, or has ended its
// session.
func (l *loop) prepare(k *call, kind requestKind) bool {
	switch kind {
	case kindCanceled:
		l.answer(k, StatusCanceled, canceledMessage)
		return false
	case kindCancel:
		l.drop(k.session, fmt.Errorf("it broke the protocol: a cancel of %d bytes", k.length))
		return false
	}
	h := decodeRequest(k.slot.header)
	metadata := k.slot.input[:k.length]
	if h.metadata <= min(k.length, MaxMetadataBytes) {
		k.length -= h.metadata
	}
	metadata = metadata[k.length:]
	if h.id != k.slot.id || h.function != k.function || len(metadata) != int(h.metadata) || h.bytes != k.length && !(h.rendezvous && k.length == 0) {
		l.drop(k.session, fmt.Errorf("it broke the protocol: the header of slot %d does not match its immediate data", k.index))
		return false
	}
	if h.metadata > 0 {
		var err error
		if k.metadata, err = decodeMetadata(metadata); err != nil {
			l.drop(k.session, fmt.Errorf("it broke the protocol: metadata of %d bytes with %w", h.metadata, err))
			return false
		}
	}
	k.beyond = h.rendezvous || h.reply.Len-headerBytes > uint32(len(k.result))
	k.returned = h.reply
	k.result = k.result[:min(len(k.result), int(h.reply.Len-headerBytes))]
	if h.timeout > 0 {
		waited := l.tick.ns(k.started - k.noticed)
		k.deadline = now() - waited + int64(h.timeout)
		if int64(h.timeout) <= waited && !l.refusing {
			l.answer(k, StatusDeadlineExceeded, expiredMessage)
			return false
		}
	}
	return true
}

// misfit handles a request that does not fit: a cancel, which has no header, or
// one from a client that does not keep to the slots it was granted.
func (l *loop) misfit(s *session, index uint32, kind requestKind, function uint32, c *transport.Completion) {
	if kind == kindCancel && index < uint32(len(s.slots)) && c.Bytes == 0 {
		if t := s.slots[index].rendezvous; t != nil && cancelTag(t.slot.id) == function {
			if t.phase == phaseOffered {
				l.remove(t)
			}
			t.stop(StatusCanceled, "the caller gave up")
		}
		return // otherwise it came too late: the call was answered, or is not far from it
	}
	l.drop(s, fmt.Errorf("it broke the protocol: %d bytes for slot %d; it was granted %d slots of %d bytes",
		c.Bytes, index, len(s.slots), s.layout.slotBytes))
}

// answer stages the reply of a call that is not executed.
func (l *loop) answer(k *call, status Status, message string) {
	n := putMessage(k.result, message)
	h := replyHeader{id: k.slot.id, status: status, bytes: uint32(n)}
	h.encode(k.slot.reply)
	l.stage(k, status, n)
	l.flush()
	l.tally.refused++
	l.unpublished++
}

// replyFailure stages the reply of a function that failed, or whose result does
// not fit.
func (l *loop) replyFailure(k *call, f *registered, n int, err error) {
	status, message, code := StatusTooLarge, "", uint32(0)
	switch {
	case err != nil:
		message = messageOf(err)
		status, code = statusOf(err)
		if status == StatusCanceled && l.w.life.Err() != nil { // not by the caller
			status, message = StatusRevoked, "the worker was taken away while the function ran: "+message
		}
	case n < 0:
		status, message = StatusCrashed, fmt.Sprintf("the function returned a length of %d bytes", n)
	default:
		message = fmt.Sprintf("the result has %d bytes, there is room for %d; offer more (Call, CallOptions, NewBuffer) or connect with larger slots (SlotBytes)", n, len(k.result))
	}
	l.reply(k, f, status, code, putMessage(k.result, message))
}

// recoverCrash, deferred by run, answers the call of a function that panicked.
func (l *loop) recoverCrash() {
	k := l.running
	if k == nil {
		return // the panic, if there is one, is this package's own fault: let it pass
	}
	value := recover()
	if value == nil {
		return // runtime.Goexit
	}
	l.leave(k)
	l.replyCrash(k, fmt.Sprintf("panic: %v, at %s", value, panicPlace()))
}

// replyCrash stages the reply of a function that crashed.
func (l *loop) replyCrash(k *call, message string) {
	if k.rendezvous != nil {
		l.remove(k.rendezvous)
	}
	f := &(*l.w.registry.table.Load())[k.function]
	l.w.log.Error("function crashed", "function", f.name, "peer", k.session.peer, "reason", message)
	l.reply(k, f, StatusCrashed, 0, putMessage(k.result, message))
}

// panicPlace is where a panic that is being recovered came from: the innermost
// frame that is not the runtime's.
func panicPlace() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for panicking := false; ; {
		f, more := frames.Next()
		inRuntime := strings.HasPrefix(f.Function, "runtime.")
		if panicking && !inRuntime {
			file := f.File[strings.LastIndexByte(f.File, '/')+1:]
			return fmt.Sprintf("%s:%d (%s)", file, f.Line, f.Function)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}

// putMessage copies as much of a message as fits, whole characters only.
func putMessage(to []byte, message string) int {
	n := copy(to, message)
	for n < len(message) && n > 0 && !utf8.RuneStart(message[n]) {
		n--
	}
	return n
}

// replaceContext ends the context of a call that made use of it, and makes
// another for those to come.
func (l *loop) replaceContext() {
	l.ctx.end(errCallOver)
	l.ctx = &callContext{closing: l.w.life.Done()}
}
