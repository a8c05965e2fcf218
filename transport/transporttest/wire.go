package transporttest

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"time"
)

// errHung means that a command did not come back in time.
var errHung = errors.New("the peer process did not answer in time")

// errPeerProcess means that the peer process has ended.
var errPeerProcess = errors.New("the peer process has ended")

// stdio is the connection to a peer process.
type stdio struct {
	io.ReadCloser
	io.WriteCloser
}

func (s stdio) Close() error { return errors.Join(s.ReadCloser.Close(), s.WriteCloser.Close()) }

// serve executes the commands that come in, each in a goroutine of its own,
// until the stream ends.
func serve(a *agent, conn stdio) {
	server := rpc.NewServer()
	for name, service := range services {
		if err := server.RegisterName(name, service(a)); err != nil {
			panic(err)
		}
	}
	server.ServeConn(conn)
}

// service carries out a command for a peer process. What it takes and returns has
// no name, since package rpc wants exported ones.
type service[A, R any] struct {
	agent *agent
	run   func(*agent, A) (R, error)
}

func (s service[A, R]) Do(call struct{ Args A }, reply *struct {
	Result  R
	Failure *failure
}) error {
	result, err := s.run(s.agent, call.Args)
	reply.Result, reply.Failure = result, describeFailure(err)
	return nil
}

// callPeer sends a command to a peer process and waits for the outcome.
func callPeer[A, R any](p *process, name string, args A) (R, error) {
	var reply struct {
		Result  R
		Failure *failure
	}
	call := p.client.Go(name+".Do", struct{ Args A }{args}, &reply, make(chan *rpc.Call, 1))
	timer := time.NewTimer(p.timeout)
	defer timer.Stop()
	select {
	case <-call.Done:
		if call.Error != nil {
			return reply.Result, fmt.Errorf("%w: %v", errPeerProcess, call.Error)
		}
		return reply.Result, reply.Failure.err()
	case <-timer.C:
		var none R // the reply may still come
		return none, fmt.Errorf("%w (%v)", errHung, p.timeout)
	}
}
