package main

import (
	"errors"
	"fmt"
	"io"
	"net"
)

// unixSocket is the base of most sections: it is there on every machine.
const unixSocket = "Unix socket"

// socketPeers are plain sockets.
func socketPeers(m *machine, test string) []series {
	base := ownPeer{about: about{unixSocket, peer, "package net of Go, blocking reads and writes"}, machine: m, over: "socket", network: "unix", test: test, file: "peer_sockets.go"}
	tcp, pinned := base, base
	tcp.label, tcp.remarks, tcp.network = "TCP loopback", "", "tcp"
	pinned.label, pinned.remarks, pinned.pinned = "Unix socket, pinned", "the same, each end on a core of its own", true
	return []series{&base, &tcp, &pinned}
}

var socketProtocol = protocol{serve: serveSockets, dial: dialSocket}

// socketBuffer is how much is read at once when messages are smaller.
const socketBuffer = 64 << 10

func serveSockets(l net.Listener, e *endConfig) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		answer := answerSocket
		if e.test == testStream {
			answer = drainSocket
		}
		go func() {
			defer c.Close()
			answer(c, e) // its end is the client's
		}()
	}
}

// answerSocket sends whole messages back, as many at once as are there.
func answerSocket(c net.Conn, e *endConfig) error {
	buffer := make([]byte, max(e.size, socketBuffer))
	have := 0
	for {
		n, err := c.Read(buffer[have:])
		if err != nil {
			return err
		}
		have += n
		whole := have / e.size * e.size
		if _, err := c.Write(buffer[:whole]); err != nil {
			return err
		}
		have = copy(buffer, buffer[whole:have])
	}
}

// drainSocket says with a byte that all of the warm-up is there, and then all the rest.
func drainSocket(c net.Conn, e *endConfig) error {
	buffer := make([]byte, max(e.size, socketBuffer))
	for _, messages := range []int{e.setting().warmup(), e.iterations} {
		for left := messages * e.size; left > 0; {
			n, err := c.Read(buffer[:min(left, len(buffer))])
			if err != nil {
				return err
			}
			left -= n
		}
		if _, err := c.Write(buffer[:1]); err != nil {
			return err
		}
	}
	return nil
}

type socketCaller struct {
	conn    net.Conn
	size    int
	out, in []byte
}

func dialSocket(e *endConfig) (caller, error) {
	c, err := net.Dial(e.network, e.address)
	if err != nil {
		return nil, err
	}
	return &socketCaller{c, e.size, make([]byte, e.size*e.depth), make([]byte, max(e.size, socketBuffer))}, nil
}

func (s *socketCaller) call() error {
	if _, err := s.conn.Write(s.out[:s.size]); err != nil {
		return err
	}
	_, err := io.ReadFull(s.conn, s.in[:s.size])
	return err
}

// calls reads what answers there are and sends as many messages again, together.
func (s *socketCaller) calls(n, depth int) error {
	if s.size*depth > socketBuffer {
		return fmt.Errorf("%d messages of %d bytes in flight do not fit the sockets' buffers", depth, s.size)
	}
	send := func(messages int) error {
		_, err := s.conn.Write(s.out[:messages*s.size])
		return err
	}
	sent, answered, have := min(n, depth), 0, 0
	if err := send(sent); err != nil {
		return err
	}
	for answered < n {
		got, err := s.conn.Read(s.in)
		if err != nil {
			return err
		}
		have += got
		whole := have / s.size
		have -= whole * s.size
		answered += whole
		if more := min(whole, n-sent); more > 0 {
			sent += more
			if err := send(more); err != nil {
				return err
			}
		}
	}
	if answered > n {
		return errors.New("more answers than messages")
	}
	return nil
}

func (s *socketCaller) stream(n int) error {
	for range n {
		if _, err := s.conn.Write(s.out[:s.size]); err != nil {
			return err
		}
	}
	_, err := io.ReadFull(s.conn, s.in[:1])
	return err
}
