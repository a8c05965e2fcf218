package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"

	"github.com/rfaas-go/rfaas/benchmarks"
)

// ownPeer is a peer whose two ends are processes of this program; see runEnd.
type ownPeer struct {
	about
	machine *machine
	version string // "" is Go's
	over    string // the protocol, of protocols
	network string // tcp or unix
	test    string
	file    string // where it is
	pinned  bool   // to two cores; otherwise its ends are where the kernel puts them
}

func (p *ownPeer) find(context.Context) (string, error) {
	if p.version != "" {
		return p.version, nil
	}
	return runtime.Version(), nil
}

// words are the two commands; the server's listener is its descriptor 3.
func (p *ownPeer) words(s setting, program, address string) (server, client []string) {
	flags := []string{"--over", p.over, "--test", p.test, "--size", strconv.Itoa(s.size), "--iterations", strconv.Itoa(s.iterations),
		"--depth", strconv.Itoa(max(s.depth, 1)), "--workers", strconv.Itoa(max(s.workers, 1))}
	servers, clients := anyCore, anyCore
	if p.pinned {
		servers, clients = p.machine.peer, p.machine.measuring
	}
	server = p.machine.on(servers, append([]string{program, endName, "serve"}, flags...)...)
	client = p.machine.on(clients, append([]string{program, endName, "measure", "--network", p.network, "--address", address}, flags...)...)
	return server, client
}

func (p *ownPeer) command(s setting) string {
	server, client := p.words(s, "book", "ADDRESS")
	return fmt.Sprintf("%s  and  %s  (benchmarks/book/%s)", benchmarks.ShellWords(server...), benchmarks.ShellWords(client...), p.file)
}

func (p *ownPeer) measure(ctx context.Context, s setting) (figure, error) {
	listener, address, err := listen(p.network)
	if err != nil {
		return figure{}, err
	}
	defer listener.Close()
	server, client := p.words(s, p.machine.program, address)
	out, err := ends{server: server, client: client, listener: listener}.run(ctx)
	if err != nil {
		return figure{}, err
	}
	var o outcome
	if err := json.NewDecoder(bytes.NewReader([]byte(out))).Decode(&o); err != nil {
		return figure{}, fmt.Errorf("what the client printed: %w: %s", err, lastLines(out))
	}
	return o.figure(s, p.test), nil
}

// listen makes a listening socket to hand to another process.
func listen(network string) (f *os.File, address string, err error) {
	address = "127.0.0.1:0"
	if network == "unix" {
		address = "@rfaas-book-" + rand.Text() // nothing in the file system
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, "", err
	}
	defer l.Close()
	switch l := l.(type) {
	case *net.TCPListener:
		f, err = l.File()
	case *net.UnixListener:
		f, err = l.File()
	}
	return f, l.Addr().String(), err
}

// outcome is what the measuring end prints, as JSON.
type outcome struct {
	Bars []benchmarks.Bar `json:"bars,omitempty"` // of testLatency
	NS   int64            `json:"ns"`             // that all operations took
}

// figure is the outcome in the unit of the test.
func (o outcome) figure(s setting, test string) figure {
	perSecond := float64(s.iterations) * 1e9 / float64(max(o.NS, 1))
	switch test {
	case testLatency:
		return ofSamples(o.Bars)
	case testStream:
		return figure{value: perSecond * float64(s.size)}
	}
	return figure{value: perSecond}
}
