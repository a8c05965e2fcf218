package transporttest

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// requestHeader goes before the arguments of a command.
type requestHeader struct {
	Seq     uint64
	Command string
}

// replyHeader goes before the result of a command.
type replyHeader struct {
	Seq     uint64
	Failure *failure
}

// serve executes the commands that come in, each in a goroutine of its own,
// until the stream ends.
func serve(a *agent, in io.Reader, out io.Writer) error {
	dec, enc := gob.NewDecoder(in), gob.NewEncoder(out)
	var sending sync.Mutex
	for {
		var h requestHeader
		if err := dec.Decode(&h); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		handle, ok := handlers[h.Command]
		if !ok {
			return fmt.Errorf("no command is called %q", h.Command)
		}
		run, err := handle(dec)
		if err != nil {
			return fmt.Errorf("arguments of %s: %w", h.Command, err)
		}
		go func() {
			result, err := run(a)
			sending.Lock()
			defer sending.Unlock()
			// An error of the stream shows in the next Decode.
			_ = enc.Encode(replyHeader{Seq: h.Seq, Failure: describeFailure(err)})
			_ = enc.Encode(result)
		}()
	}
}

// caller sends commands to a peer process and receives the results. Its methods
// may be called from anywhere.
type caller struct {
	out     io.Writer
	timeout time.Duration

	sending sync.Mutex
	enc     *gob.Encoder

	mu      sync.Mutex
	seq     uint64
	pending map[uint64]*pendingCall
	broken  error // why no reply will come any more
}

type pendingCall struct {
	decode func(*gob.Decoder) error
	done   chan error
}

// errHung means that a command did not come back in time.
var errHung = errors.New("the peer process did not answer in time")

// errPeerProcess means that the peer process has ended.
var errPeerProcess = errors.New("the peer process has ended")

func newCaller(out io.Writer, timeout time.Duration) *caller {
	return &caller{out: out, timeout: timeout, enc: gob.NewEncoder(out), pending: map[uint64]*pendingCall{}}
}

// call sends a command and waits for the result, which decode receives.
func (c *caller) call(name string, args any, decode func(*gob.Decoder) error) error {
	p := &pendingCall{decode: decode, done: make(chan error, 1)}
	c.mu.Lock()
	if c.broken != nil {
		c.mu.Unlock()
		return c.broken
	}
	c.seq++
	seq := c.seq
	c.pending[seq] = p
	c.mu.Unlock()

	c.sending.Lock()
	err := c.enc.Encode(requestHeader{Seq: seq, Command: name})
	if err == nil {
		err = c.enc.Encode(args)
	}
	c.sending.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %v", errPeerProcess, err)
	}
	timer := time.NewTimer(c.timeout)
	defer timer.Stop()
	select {
	case err := <-p.done:
		return err
	case <-timer.C:
		return fmt.Errorf("%w (%v)", errHung, c.timeout)
	}
}

// receive takes replies until the stream ends.
func (c *caller) receive(in io.Reader) {
	dec := gob.NewDecoder(in)
	for {
		var h replyHeader
		err := dec.Decode(&h)
		var p *pendingCall
		if err == nil {
			c.mu.Lock()
			p = c.pending[h.Seq]
			delete(c.pending, h.Seq)
			c.mu.Unlock()
			err = p.decode(dec)
		}
		if err != nil {
			c.fail(fmt.Errorf("%w: %v", errPeerProcess, err), p)
			return
		}
		p.done <- h.Failure.err()
	}
}

// fail ends all calls in progress, last included.
func (c *caller) fail(err error, last *pendingCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = err
	if last != nil {
		last.done <- err
	}
	for seq, p := range c.pending {
		p.done <- err
		delete(c.pending, seq)
	}
}
