package transporttest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

type listenArgs struct{ Network, Address string }

type listenReply struct {
	Listener handle
	Address  string
}

var listen = define("listen", func(a *agent, args listenArgs) (listenReply, error) {
	l := must(transport.Listen(args.Network, args.Address))
	return listenReply{a.put(l), l.Addr().String()}, nil
})

// connSpec is a transport.ConnConfig that can be sent to an agent, and what to do
// with it.
type connSpec struct {
	Network                           string
	Domain, Sent, Received, Shared    handle
	SendDepth, RecvDepth, InlineBytes int
	Private                           []byte
	Deny                              string // reason that the Authorize hook gives, if not empty
	Reject                            string // reason to refuse requests, if not empty
	Count                             int    // how many connections to make
}

func (a *agent) config(s connSpec) transport.ConnConfig {
	cfg := transport.ConnConfig{
		Domain:    find[*transport.ProtectionDomain](a, s.Domain),
		SendQueue: find[*transport.Queue](a, s.Sent),
		RecvQueue: find[*transport.Queue](a, s.Received),
		Shared:    find[*transport.SharedReceive](a, s.Shared),
		SendDepth: s.SendDepth, RecvDepth: s.RecvDepth, InlineBytes: s.InlineBytes, PrivateData: s.Private,
	}
	if s.Deny != "" {
		cfg.Authorize = func(context.Context, transport.Peer) error { return errors.New(s.Deny) }
	}
	return cfg
}

// connInfo is what the test knows of a connection.
type connInfo struct {
	Conn     handle
	ID       uint32
	Inline   int
	Provider string // of the peer, as it says
	Private  []byte // from the peer
	PeerPID  int    // 0 without credentials
}

func (a *agent) info(c *transport.Conn) connInfo {
	p := c.Peer()
	i := connInfo{Conn: a.put(c), ID: c.ID(), Inline: c.InlineBytes(), Provider: p.Provider, Private: p.PrivateData}
	if p.Credentials != nil {
		i.PeerPID = p.Credentials.PID
	}
	return i
}

type dialArgs struct {
	Address string
	Spec    connSpec
	Timeout time.Duration // 0: the suite's patience
}

// dial makes connections to a listener, one after the other.
var dial = define("dial", func(a *agent, args dialArgs) (made []connInfo, err error) {
	cfg := a.config(args.Spec)
	for i := range args.Spec.Count {
		ctx, cancel := a.bound(args.Timeout)
		c, err := a.dev.Dial(ctx, args.Spec.Network, args.Address, cfg)
		cancel()
		if err != nil {
			return made, fmt.Errorf("connection %d of %d: %w", i+1, args.Spec.Count, err)
		}
		made = append(made, a.info(c))
	}
	return made, nil
})

type acceptArgs struct {
	Listener handle
	Spec     connSpec
}

// accept takes the connections that dial makes.
var accept = define("accept", func(a *agent, args acceptArgs) (made []connInfo, err error) {
	l, cfg := get[*transport.Listener](a, args.Listener), a.config(args.Spec)
	one := func() error {
		ctx, cancel := a.bound(0)
		defer cancel()
		r, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		if args.Spec.Reject != "" {
			return r.Reject(transport.Rejection{Reason: args.Spec.Reject})
		}
		c, err := r.Accept(ctx, cfg)
		if err == nil {
			made = append(made, a.info(c))
		}
		return err
	}
	for i := range args.Spec.Count {
		if err := one(); err != nil {
			return made, fmt.Errorf("accept %d of %d: %w", i+1, args.Spec.Count, err)
		}
	}
	return made, nil
})

// bound is a context that ends after the given time, or after the suite's
// patience.
func (a *agent) bound(d time.Duration) (context.Context, context.CancelFunc) {
	if d == 0 {
		d = a.patience
	}
	return context.WithTimeout(context.Background(), d)
}

// connError is Conn.Err.
var connError = action("connection error", func(a *agent, h handle) {
	check(get[*transport.Conn](a, h).Err())
})

// awaitConnEnd waits for Conn.Done, and returns how long it took.
var awaitConnEnd = define("await connection end", func(a *agent, h handle) (time.Duration, error) {
	c, began := get[*transport.Conn](a, h), time.Now()
	select {
	case <-c.Done():
		return time.Since(began), nil
	case <-time.After(a.patience):
		return 0, fmt.Errorf("%w (%v): Conn.Done of connection %d", errDeadline, a.patience, c.ID())
	}
})

type postArgs struct {
	Conn     handle // a connection, or a shared receive queue
	Requests []request
	Exact    bool // report ErrQueueFull even where it may be injected
}

// postRequests is one Post, and the number of requests taken.
var postRequests = define("post", func(a *agent, args postArgs) (int, error) {
	return a.post(args, get[*transport.Conn](a, args.Conn).Post)
})

// receiver is a connection, or a shared receive queue.
type receiver interface {
	PostRecv(...transport.WorkRequest) (int, error)
}

// postReceives is one PostRecv, and the number of requests taken.
var postReceives = define("post recv", func(a *agent, args postArgs) (int, error) {
	return a.post(args, get[receiver](a, args.Conn).PostRecv)
})

func (a *agent) post(args postArgs, post func(...transport.WorkRequest) (int, error)) (int, error) {
	wrs := make([]transport.WorkRequest, len(args.Requests))
	for i, r := range args.Requests {
		wrs[i] = a.build(r)
	}
	taken, err := post(wrs...)
	for idle := (pause{}); a.faults == FaultsBenign && !args.Exact && errors.Is(err, transport.ErrQueueFull) && idle.waited() < a.patience; {
		idle.wait()
		var n int
		n, err = post(wrs[taken:]...)
		taken += n
	}
	return taken, err
}
