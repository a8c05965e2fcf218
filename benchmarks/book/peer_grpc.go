package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

func grpcPeer(m *machine, test string) series {
	return &ownPeer{
		about:   about{"gRPC, Unix socket", peer, "unary calls with grpc-go; the input is raw bytes, without protocol buffers"},
		machine: m, version: "grpc-go " + grpc.Version, over: "grpc", network: "unix", test: test, file: "peer_grpc.go",
	}
}

var grpcProtocol = protocol{serve: serveGRPC, dial: dialGRPC}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("raw codec: %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("raw codec: %T", v)
	}
	*b = data.Materialize()
	return nil
}

// grpcMethod does nothing, as the function of invoke-lat.
const grpcMethod = "/rfaas.book.Function/Call"

var grpcService = grpc.ServiceDesc{
	ServiceName: "rfaas.book.Function",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Call",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var in []byte
			if err := decode(&in); err != nil {
				return nil, err
			}
			return &[]byte{}, nil
		},
	}},
}

func serveGRPC(l net.Listener, _ *endConfig) error {
	s := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.MaxRecvMsgSize(math.MaxInt32))
	s.RegisterService(&grpcService, struct{}{})
	return s.Serve(l)
}

type grpcCaller struct {
	connection *grpc.ClientConn
	in         []byte
}

func dialGRPC(e *endConfig) (caller, error) {
	c, err := grpc.NewClient("passthrough:///peer",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, e.network, e.address)
		}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
	if err != nil {
		return nil, err
	}
	return &grpcCaller{c, make([]byte, e.size)}, nil
}

func (g *grpcCaller) call() error {
	var out []byte
	return g.connection.Invoke(context.Background(), grpcMethod, &g.in, &out)
}

// calls has a goroutine for each call in flight, as programs with gRPC do.
func (g *grpcCaller) calls(n, depth int) error {
	depth = min(n, depth)
	errs := make([]error, depth)
	var all sync.WaitGroup
	for i := range depth {
		part := n*(i+1)/depth - n*i/depth
		all.Go(func() {
			for range part {
				if errs[i] = g.call(); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
