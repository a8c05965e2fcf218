package benchmarks

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// The two sides of a measurement agree over a control stream, one JSON object a
// line. The measuring side speaks first:
//
//	measuring side           peer
//	start (params)     ->
//	                   <-    hello (pid, key of the session's other streams)
//	both set their sides up, with streams of their own; then for each phase:
//	run (count)        ->
//	                   <-    running
//	the measured loop, without the control stream
//	finish             ->
//	                   <-    done (allocations)
//	and at last:
//	end                ->
//
// A failure (error, text) may come from the peer at any time. Whoever sees the
// stream end gives up.
type message struct {
	Kind        messageKind `json:"kind"`
	Params      *params     `json:"params,omitempty"`
	PID         int         `json:"pid,omitempty"`
	Key         key         `json:"key,omitzero"`
	Count       int         `json:"count,omitempty"`
	Allocations uint64      `json:"allocations,omitempty"`
	Text        string      `json:"text,omitempty"`
}

type messageKind string

const (
	messageStart   messageKind = "start"
	messageHello   messageKind = "hello"
	messageRun     messageKind = "run"
	messageRunning messageKind = "running"
	messageFinish  messageKind = "finish"
	messageDone    messageKind = "done"
	messageEnd     messageKind = "end"
	messageError   messageKind = "error"
)

// maxMessageBytes bounds a line of the control stream.
const maxMessageBytes = 64 << 10

// control is one end of a control stream. One goroutine uses it.
type control struct {
	conn  net.Conn
	in    chan []byte   // lines, decoded by whoever waits for them
	ended chan struct{} // closed when nothing more will come
	err   error         // why; set before ended is closed
}

// errHungUp means that the control stream ended without a word.
var errHungUp = errors.New("the other side hung up")

// peerError is what the peer says went wrong on its side.
type peerError struct{ text string }

func (e *peerError) Error() string { return "the peer reports: " + e.text }

// newControl begins to read the stream. onEnd is called, from another goroutine,
// when it has ended or the peer reported an error.
func newControl(conn net.Conn, onEnd func(error)) *control {
	c := &control{conn: conn, in: make(chan []byte, 8), ended: make(chan struct{})}
	go func() {
		c.err = c.read()
		close(c.ended)
		onEnd(c.err)
	}()
	return c
}

// read passes the lines on. It does not decode them, but for errors: a message
// may arrive while allocations are being counted.
func (c *control) read() error {
	lines := bufio.NewScanner(c.conn)
	lines.Buffer(make([]byte, 4096), maxMessageBytes)
	for lines.Scan() {
		if bytes.HasPrefix(lines.Bytes(), errorPrefix) {
			m, err := decodeMessage(lines.Bytes())
			if err != nil {
				return err
			}
			return &peerError{m.Text}
		}
		select {
		case c.in <- bytes.Clone(lines.Bytes()):
		default:
			return errors.New("the other side talks out of turn")
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%w: %w", errHungUp, err)
	}
	return errHungUp
}

// errorPrefix begins the line of an error: the kind comes first.
var errorPrefix = []byte(`{"kind":"error"`)

func decodeMessage(line []byte) (message, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("the other side does not speak the benchmarks' protocol: %w", err)
	}
	return m, nil
}

func (c *control) send(m message) error {
	_, err := c.conn.Write(encodeMessage(m))
	return err
}

func encodeMessage(m message) []byte {
	line, err := json.Marshal(m)
	if err != nil {
		panic(err) // there is nothing in a message that JSON cannot have
	}
	return append(line, '\n')
}

// expect waits for a message of one of the kinds.
func (c *control) expect(ctx context.Context, kinds ...messageKind) (message, error) {
	line, err := c.line(ctx)
	if err != nil {
		return message{}, err
	}
	m, err := decodeMessage(line)
	if err == nil && !slices.Contains(kinds, m.Kind) {
		err = fmt.Errorf("the other side says %q where one of %q was due", m.Kind, kinds)
	}
	return m, err
}

// ask sends a message and waits for the answer.
func (c *control) ask(ctx context.Context, m message, answer messageKind) (message, error) {
	if err := c.send(m); err != nil {
		return message{}, err
	}
	return c.expect(ctx, answer)
}

// line waits for a line. What came before the end of the stream, or of the
// context, counts.
func (c *control) line(ctx context.Context) (line []byte, err error) {
	select {
	case line = <-c.in:
		return line, nil
	case <-c.ended:
		err = c.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	select {
	case line = <-c.in:
		return line, nil
	default:
		return nil, err
	}
}

func (c *control) close() { c.conn.Close() }

// key is what a stream has to show to be admitted.
type key [16]byte

func newKey() key {
	var k key
	rand.Read(k[:]) // never fails
	return k
}

// MarshalText and UnmarshalText make the key hexadecimal in JSON.
func (k key) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(k[:])), nil }

func (k *key) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(k) {
		return errors.New("malformed key")
	}
	copy(k[:], raw)
	return nil
}

// Every stream to a peer begins with a preface of fixed length: magic, kind and
// key. What follows is a control stream, or whatever the test makes of it, as a
// rule the set-up of a connection.
const (
	prefaceMagic   = "rfaasbm1"
	prefaceBytes   = len(prefaceMagic) + 1 + len(key{})
	prefaceTimeout = 10 * time.Second
)

type streamKind byte

const (
	controlStream streamKind = 'c' // key: that of the listener
	testStream    streamKind = 't' // key: that of the session
)

func readPreface(conn net.Conn) (kind streamKind, k key, err error) {
	var b [prefaceBytes]byte
	conn.SetReadDeadline(time.Now().Add(prefaceTimeout))
	if _, err = io.ReadFull(conn, b[:]); err != nil {
		return 0, k, err
	}
	conn.SetReadDeadline(time.Time{})
	if string(b[:len(prefaceMagic)]) != prefaceMagic {
		return 0, k, errors.New("not a stream of rfaas bench")
	}
	return streamKind(b[len(prefaceMagic)]), key(b[len(prefaceMagic)+1:]), nil
}

// keepAlive notices within a quarter of a minute that a machine is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 5}

// dialStream opens a stream to a peer and writes its preface.
func dialStream(ctx context.Context, network, address string, kind streamKind, k key) (net.Conn, error) {
	dialer := net.Dialer{Timeout: prefaceTimeout, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("connecting to the peer: %w", err)
	}
	preface := append([]byte(prefaceMagic), byte(kind))
	if _, err := conn.Write(append(preface, k[:]...)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connecting to the peer: %w", err)
	}
	return conn, nil
}
