package main

import (
	"net"
	"net/rpc"
)

// rpcPeers are the ways to call a function of another process that Go programs have.
func rpcPeers(m *machine, test string) []series {
	return []series{
		&ownPeer{about: about{label: "net/rpc, Unix socket", of: peer}, machine: m, over: "netrpc", network: "unix", test: test, file: "peer_netrpc.go"},
		grpcPeer(m, test),
	}
}

var rpcProtocol = protocol{serve: serveRPC, dial: dialRPC}

// rpcFunction does nothing, as the function of invoke-lat.
type rpcFunction struct{}

const rpcMethod = "Function.Call"

// Call has the signature that net/rpc wants. The result is a byte, as it cannot be empty.
func (rpcFunction) Call(_ []byte, _ *byte) error { return nil }

func serveRPC(l net.Listener, _ *endConfig) error {
	s := rpc.NewServer()
	if err := s.RegisterName("Function", rpcFunction{}); err != nil {
		return err
	}
	s.Accept(l)
	return nil
}

type rpcCaller struct {
	client *rpc.Client
	in     []byte
}

func dialRPC(e *endConfig) (caller, error) {
	c, err := rpc.Dial(e.network, e.address)
	if err != nil {
		return nil, err
	}
	return &rpcCaller{c, make([]byte, e.size)}, nil
}

func (r *rpcCaller) call() error {
	var out byte
	return r.client.Call(rpcMethod, r.in, &out)
}

func (r *rpcCaller) calls(n, depth int) error {
	done := make(chan *rpc.Call, depth)
	begin := func() { r.client.Go(rpcMethod, r.in, new(byte), done) }
	begun := min(n, depth)
	for range begun {
		begin()
	}
	for range n {
		if c := <-done; c.Error != nil {
			return c.Error
		}
		if begun < n {
			begun++
			begin()
		}
	}
	return nil
}
