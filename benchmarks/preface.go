package benchmarks

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

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
