package transporttest

import (
	"context"
	"encoding/binary"
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
	l, err := transport.Listen(args.Network, args.Address)
	if err != nil {
		return listenReply{}, err
	}
	return listenReply{a.put(l), l.Addr().String()}, nil
})

var closeListener = define("close listener", func(a *agent, h handle) (none, error) {
	l, err := get[*transport.Listener](a, h)
	if err == nil {
		err = l.Close()
	}
	return false, err
})

// connSpec is a transport.ConnConfig that can be sent to an agent.
type connSpec struct {
	Domain, Sent, Received, Shared    handle
	SendDepth, RecvDepth, InlineBytes int
	Private                           []byte
	Deny                              string // reason that the Authorize hook gives, if not empty
}

func (a *agent) config(s connSpec) (cfg transport.ConnConfig, err error) {
	cfg = transport.ConnConfig{SendDepth: s.SendDepth, RecvDepth: s.RecvDepth, InlineBytes: s.InlineBytes, PrivateData: s.Private}
	if cfg.Domain, err = find[*transport.ProtectionDomain](a, s.Domain); err != nil {
		return cfg, err
	}
	if cfg.SendQueue, err = find[*transport.Queue](a, s.Sent); err != nil {
		return cfg, err
	}
	if cfg.RecvQueue, err = find[*transport.Queue](a, s.Received); err != nil {
		return cfg, err
	}
	if cfg.Shared, err = find[*transport.SharedReceive](a, s.Shared); err != nil {
		return cfg, err
	}
	if s.Deny != "" {
		cfg.Authorize = func(context.Context, transport.Peer) error { return errors.New(s.Deny) }
	}
	return cfg, nil
}

// connInfo is what the test knows of a connection.
type connInfo struct {
	Conn     handle
	ID       uint32
	Inline   int
	Provider string // of the peer, as it says
	Private  []byte // from the peer
	PeerPID  int    // 0 without credentials
	PeerAddr string
}

func (a *agent) info(c *transport.Conn) connInfo {
	p := c.Peer()
	i := connInfo{Conn: a.put(c), ID: c.ID(), Inline: c.InlineBytes(), Provider: p.Provider, Private: p.PrivateData}
	if p.Credentials != nil {
		i.PeerPID = p.Credentials.PID
	}
	if p.Address != nil {
		i.PeerAddr = p.Address.Network() + " " + p.Address.String()
	}
	return i
}

type dialArgs struct {
	Network, Address string
	Spec             connSpec
	Count            int           // with more than one, connection i gives i as its private data
	Timeout          time.Duration // 0: the suite's patience
}

// dial makes connections to a listener, one after the other.
var dial = define("dial", func(a *agent, args dialArgs) ([]connInfo, error) {
	cfg, err := a.config(args.Spec)
	if err != nil {
		return nil, err
	}
	var made []connInfo
	for i := range args.Count {
		if args.Count > 1 {
			cfg.PrivateData = binary.BigEndian.AppendUint32(nil, uint32(i))
		}
		ctx, cancel := a.bound(args.Timeout)
		c, err := a.dev.Dial(ctx, args.Network, args.Address, cfg)
		cancel()
		if err != nil {
			return made, fmt.Errorf("connection %d of %d: %w", i+1, args.Count, err)
		}
		made = append(made, a.info(c))
	}
	return made, nil
})

type acceptArgs struct {
	Listener handle
	Spec     connSpec
	Count    int
	Reject   string // reason to refuse them, if not empty
}

// accept takes the connections that dial makes.
var accept = define("accept", func(a *agent, args acceptArgs) ([]connInfo, error) {
	l, err := get[*transport.Listener](a, args.Listener)
	if err != nil {
		return nil, err
	}
	cfg, err := a.config(args.Spec)
	if err != nil {
		return nil, err
	}
	var made []connInfo
	for i := range args.Count {
		ctx, cancel := a.bound(0)
		defer cancel()
		r, err := l.Accept(ctx)
		if err != nil {
			return made, fmt.Errorf("accept %d of %d: %w", i+1, args.Count, err)
		}
		if args.Reject != "" {
			if err := r.Reject(transport.Rejection{Reason: args.Reject}); err != nil {
				return made, err
			}
			continue
		}
		c, err := r.Accept(ctx, cfg)
		if err != nil {
			return made, fmt.Errorf("accept %d of %d: %w", i+1, args.Count, err)
		}
		made = append(made, a.info(c))
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

var closeConn = define("close connection", func(a *agent, h handle) (none, error) {
	c, err := get[*transport.Conn](a, h)
	if err == nil {
		err = c.Close()
	}
	return false, err
})

// connError is Conn.Err.
var connError = define("connection error", func(a *agent, h handle) (none, error) {
	c, err := get[*transport.Conn](a, h)
	if err == nil {
		err = c.Err()
	}
	return false, err
})

// awaitConnEnd waits for Conn.Done, and returns how long it took.
var awaitConnEnd = define("await connection end", func(a *agent, h handle) (time.Duration, error) {
	c, err := get[*transport.Conn](a, h)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	timer := time.NewTimer(a.patience)
	defer timer.Stop()
	select {
	case <-c.Done():
		return time.Since(began), nil
	case <-timer.C:
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
	c, err := get[*transport.Conn](a, args.Conn)
	if err != nil {
		return 0, err
	}
	return a.post(args, c.Post)
})

// postReceives is one PostRecv, and the number of requests taken.
var postReceives = define("post recv", func(a *agent, args postArgs) (int, error) {
	r, err := get[interface {
		PostRecv(...transport.WorkRequest) (int, error)
	}](a, args.Conn)
	if err != nil {
		return 0, err
	}
	return a.post(args, r.PostRecv)
})

func (a *agent) post(args postArgs, post func(...transport.WorkRequest) (int, error)) (int, error) {
	wrs := make([]transport.WorkRequest, len(args.Requests))
	for i, r := range args.Requests {
		var err error
		if wrs[i], err = a.build(r); err != nil {
			return 0, err
		}
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
