package pingpong

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// handshake is the Exchanger that speaks ibv_rc_pingpong's set-up protocol:
//
//	client                              server
//	its address                  ->
//	                                    becomes ready to receive and to send
//	                             <-     its address
//	becomes ready to receive
//	done                         ->
//
// The tool's client says done before it is ready; both will do, as the server
// speaks only when spoken to. The provider's queue pair exchanges twice: addresses,
// and then, once it is ready to receive, word of that.
type handshake struct {
	ctx    context.Context
	cfg    *Config
	open   func() (net.Conn, error)
	stream net.Conn
	unbind func() bool // the stream from the context
	own    Address
	step   int
	err    error // why an exchange failed
}

// Exchange implements transport.Exchanger.
func (h *handshake) Exchange(msg []byte, _ []int) (answer []byte, _ []int, err error) {
	h.step++
	switch h.step {
	case 1:
		answer, err = h.addresses(msg)
	case 2:
		answer, err = h.ready(msg)
	default:
		err = fmt.Errorf("this transport's set-up takes more than the two messages that ibv_rc_pingpong has")
	}
	if err != nil && h.ctx.Err() != nil {
		err = context.Cause(h.ctx)
	}
	h.err = err
	return answer, nil, err
}

// PassesFDs implements transport.Exchanger.
func (h *handshake) PassesFDs() bool { return false }

// addresses translates this end's address and gets the peer's. The server keeps
// its own until it is ready.
func (h *handshake) addresses(msg []byte) ([]byte, error) {
	own, err := roceaddr.Decode(msg)
	if err != nil {
		return nil, err
	}
	if int(own.MTU) < h.cfg.MTU {
		return nil, fmt.Errorf("--mtu %d: this end's path MTU is %d; use --mtu %[2]d at both ends, or a network interface with a larger MTU", h.cfg.MTU, own.MTU)
	}
	h.own = Address{LID: own.LID, QPN: own.QPN, PSN: own.PSN, GID: own.GID}
	h.cfg.OnLocal(h.own)
	if h.stream, err = h.open(); err != nil {
		return nil, err
	}
	h.stream.SetDeadline(time.Now().Add(h.cfg.Timeout))
	h.unbind = context.AfterFunc(h.ctx, func() { h.stream.SetDeadline(time.Unix(1, 0)) })
	if h.cfg.client() {
		if _, err := h.stream.Write(h.own.text()); err != nil {
			return nil, h.explain("this end's address could not be told to the peer", err)
		}
	}
	var text [textBytes]byte
	if n, err := io.ReadFull(h.stream, text[:]); err != nil {
		if n > 0 && errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, h.notTheTool(fmt.Errorf("it said %q and hung up", text[:n]))
		}
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the peer did not tell its address: it hung up; see what it says: ibv_rc_pingpong needs the index of its RoCE v2 GID (-g)")
		}
		return nil, h.explain("the peer did not tell its address", err)
	}
	remote, err := parseAddress(text[:])
	if err != nil {
		return nil, h.notTheTool(err)
	}
	h.cfg.OnRemote(remote)
	if remote.GID.IsUnspecified() {
		return nil, errors.New("the peer told no GID: give ibv_rc_pingpong the index of its RoCE v2 GID, as in -g 1; they are listed under /sys/class/infiniband/DEVICE/ports/PORT/gid_attrs/types and gids")
	}
	if remote.GID.Is4() != own.GID.Is4() {
		return nil, fmt.Errorf("the peer's GID %v and this end's %v are of two families: give ibv_rc_pingpong the index of another GID (-g), or this end another address (--transport)", remote.GID, own.GID)
	}
	answer := roceaddr.Address{
		GID: remote.GID, LID: remote.LID, QPN: remote.QPN, PSN: remote.PSN, MTU: uint16(h.cfg.MTU),
		Resources: 1, Initiates: 1, // as the tool has it
		Port: wire.Port,
	}.Encode()
	if _, err := roceaddr.Decode(answer); err != nil {
		return nil, fmt.Errorf("the peer's address makes no sense: %w", err)
	}
	return answer, nil
}

// ready tells the peer that this end is ready to receive. The provider hears of
// its peer what it says itself.
func (h *handshake) ready(msg []byte) ([]byte, error) {
	if h.cfg.client() {
		if _, err := io.WriteString(h.stream, done); err != nil {
			return nil, h.explain("the peer could not be told that this end is ready", err)
		}
		return bytes.Clone(msg), nil
	}
	if _, err := h.stream.Write(h.own.text()); err != nil {
		return nil, h.explain("this end's address could not be told to the peer", err)
	}
	var said [len(done)]byte
	if _, err := io.ReadFull(h.stream, said[:]); err != nil {
		return nil, h.explain("the peer did not take this end's address; see what it says", err)
	}
	if string(said[:]) != done {
		return nil, h.notTheTool(fmt.Errorf("it said %q in place of %q", said, done))
	}
	return bytes.Clone(msg), nil
}

// close hangs up.
func (h *handshake) close() {
	if h.stream != nil {
		h.unbind()
		h.stream.Close()
	}
}

// explain says in words why a stream failed.
func (h *handshake) explain(what string, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%s within --timeout %v: is it ibv_rc_pingpong or 'rfaas roce pingpong'?", what, h.cfg.Timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: it hung up", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (h *handshake) notTheTool(err error) error {
	return fmt.Errorf("the peer at %v speaks another protocol: %w; run ibv_rc_pingpong or 'rfaas roce pingpong' there", h.stream.RemoteAddr(), err)
}
