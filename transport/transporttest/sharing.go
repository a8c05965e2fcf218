package transporttest

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

var sharingTests = []test{
	{"sharing/hundreds of connections into one queue", needs{ops: transport.Ops(transport.OpSend)}, func(p *pair) { serveMany(p, false) }},
	{"sharing/hundreds of connections into one queue and one shared receive queue", needs{ops: transport.Ops(transport.OpSend), features: transport.FeatureSharedReceive}, func(p *pair) { serveMany(p, true) }},
	{"sharing/senders wait for a shared receive, each in its order", needs{ops: transport.Ops(transport.OpSend), features: transport.FeatureSharedReceive}, waitForShared},
	{"sharing/a connection that fails leaves the shared receives to the others", needs{ops: transport.Ops(transport.OpSend), features: transport.FeatureSharedReceive}, sharedOutlives},
}

// clientMessageBytes is the size of what serveMany's clients send: which connection, and which
// message on it.
const clientMessageBytes = 16

// clientsArgs describe many clients at one end, in one loop.
type clientsArgs struct {
	Conns  []handle
	IDs    []uint32 // of the connections, in their completions
	Queue  handle
	From   handle // Window messages for each connection
	Window int    // messages each keeps outstanding
	Count  int    // messages each sends
}

// runClients keeps all connections busy at once.
var runClients = action("clients", func(a *agent, args clientsArgs) {
	q, from := get[*transport.Queue](a, args.Queue), get[*transport.Region](a, args.From)
	loops := make([]*loop, len(args.Conns))
	for i, h := range args.Conns {
		loops[i] = a.loop(loopArgs{Conn: h, Sent: args.Queue})
	}
	sent, completed := make([]int, len(loops)), make([]int, len(loops))
	next := func(i int) {
		off := (i*args.Window + sent[i]%args.Window) * clientMessageBytes
		message := from.Bytes()[off : off+clientMessageBytes]
		binary.LittleEndian.PutUint64(message, uint64(i))
		binary.LittleEndian.PutUint64(message[8:], uint64(sent[i]))
		loops[i].post(transport.Send(uint64(sent[i]), from.Span(off, clientMessageBytes)).With(transport.Signaled))
		sent[i]++
	}
	for range args.Window {
		for i := range loops {
			next(i)
		}
	}
	poller := &loop{agent: a}
	for poller.step = range len(loops) * args.Count {
		c := poller.take(q)
		i := slices.Index(args.IDs, c.Conn)
		if i < 0 || c.Status != transport.StatusOK || c.ID != uint64(completed[i]) {
			check(fmt.Errorf("%w: client %d of %d, after %d messages: %+v", errUnexpected, i, len(loops), poller.step, c))
		}
		completed[i]++
		if sent[i] < args.Count {
			next(i)
		}
	}
})

// serverArgs describe the one that receives from all clients.
type serverArgs struct {
	Receives []handle // where to post receives: a shared queue, or each connection
	IDs      []uint32 // of the connections, in the order of the clients
	Queue    handle
	Into     handle // Depth messages for each of Receives
	Depth    int
	Count    int // messages from each client
}

// serveClients receives everything and returns how far each client was when half
// of all had come.
var serveClients = define("server", func(a *agent, args serverArgs) ([]int, error) {
	q, into := get[*transport.Queue](a, args.Queue), get[*transport.Region](a, args.Into)
	poller := &loop{agent: a}
	post := func(id uint64) {
		r := get[receiver](a, args.Receives[int(id)/args.Depth])
		poller.postTo(r.PostRecv, []transport.WorkRequest{transport.Recv(id, into.Span(int(id)*clientMessageBytes, clientMessageBytes))})
	}
	for id := range len(args.Receives) * args.Depth {
		post(uint64(id))
	}
	got := make([]int, len(args.IDs))
	var half []int
	total := len(args.IDs) * args.Count
	for poller.step = range total {
		c := poller.take(q)
		i := slices.Index(args.IDs, c.Conn)
		message := into.Bytes()[int(c.ID)*clientMessageBytes:]
		client, number := binary.LittleEndian.Uint64(message), binary.LittleEndian.Uint64(message[8:])
		if i < 0 || c.Status != transport.StatusOK || c.Bytes != clientMessageBytes || client != uint64(i) || number != uint64(got[i]) {
			return nil, fmt.Errorf("%w: of client %d, message %d of client %d came after %v: %+v", errUnexpected, i, number, client, got, c)
		}
		got[i]++
		if poller.step == total/2 {
			half = slices.Clone(got)
		}
		post(c.ID)
	}
	return half, nil
})

// serveMany has hundreds of clients at one end send to one server at the other.
// Each message arrives once, in its client's order, and no client starves.
func serveMany(p *pair, shared bool) {
	const window, depth = 4, 4
	// Many windows each: with two, a client that was once told to wait (RNR) is
	// behind by half.
	count := max(8*window, p.rounds(40))
	client := shape{conns: p.cfg.Connections, sendDepth: window, recvDepth: 1}
	server := shape{conns: p.cfg.Connections, sendDepth: 1, recvDepth: depth}
	if shared {
		server.shared = 64
	}
	a, b := p.a.station(client), p.b.station(server)
	links := p.join(a, b)
	clients := clientsArgs{Queue: a.sent.id, Window: window, Count: count, From: a.alloc(len(links)*window*clientMessageBytes, transport.LocalOnly).id}
	serving := serverArgs{Queue: b.received.id, Depth: depth, Count: count}
	for _, l := range links {
		clients.Conns, clients.IDs = append(clients.Conns, l.a.conn.Conn), append(clients.IDs, l.a.conn.ID)
		serving.IDs = append(serving.IDs, l.b.conn.ID)
		if !shared {
			serving.Receives = append(serving.Receives, l.b.conn.Conn)
		}
	}
	if shared {
		serving.Receives, serving.Depth = []handle{b.shared}, server.shared
	}
	serving.Into = b.alloc(len(serving.Receives)*serving.Depth*clientMessageBytes, transport.LocalOnly).id
	served := serveClients.start(p.b, serving)
	runClients.must(p.a, clients)
	half := served.must()
	if slices.Min(half) == 0 {
		p.Fatalf("when half of all messages had come, these were the clients' shares: %v", half)
	}
}

// waitForShared posts messages on several connections while the shared receive
// queue is empty, and then receives one by one.
func waitForShared(p *pair) {
	const conns, each = 5, 4
	a := p.a.station(shape{conns: conns, sendDepth: each, recvDepth: 1})
	b := p.b.station(shape{conns: conns, sendDepth: 1, shared: conns * each})
	links := p.join(a, b)
	from, into := a.alloc(conns*each, transport.LocalOnly), b.alloc(1, transport.LocalOnly)
	for i, l := range links {
		from.fill(i*each, each, pattern(i))
		l.a.post(ids(i*each, each, func(id uint64) request { return send(id, from.at(int(id), 1)) })...)
	}
	a.sent.expectNone("there is no receive yet")
	next := make([]int, conns)
	for n := range conns * each {
		links[0].b.postRecv(recv(uint64(n), into.all()))
		c := b.received.collect(1)[0]
		i := slices.IndexFunc(links, func(l link) bool { return l.b.conn.ID == c.Conn })
		if i < 0 || c.Status != transport.StatusOK || c.ID != uint64(n) {
			p.Fatalf("shared receive %d of %d completes as %+v", n, conns*each, c)
		}
		if _, err := checkMemory.on(p.b, patternArgs{into.all(), pattern(i), next[i]}); err != nil {
			p.Fatalf("message %d of connection %d: %v", next[i], i, err)
		}
		next[i]++
	}
	if slices.Min(next) < each {
		p.Fatalf("of %d messages on each connection, these arrived: %d", each, next)
	}
	a.sent.collect(conns * each)
}

// sharedOutlives breaks one of two connections that share receives: by a message
// that is too long, which takes one receive, and by closing it.
func sharedOutlives(p *pair) {
	const size = 16
	a := p.a.station(shape{conns: 3})
	b := p.b.station(shape{conns: 3, shared: 8})
	links := p.join(a, b)
	bad, closed, good := links[0], links[1], links[2]
	from, into := a.alloc(size+1, transport.LocalOnly), b.alloc(8*size, transport.LocalOnly)
	receives := ids(0, 8, func(id uint64) request { return recv(id, into.at(int(id)*size, size)) })
	good.b.postRecv(receives...)
	long := send(1, from.all())
	bad.a.post(long)
	bad.expectBroken("a message too long for a shared receive",
		[]want{ended(long, transport.StatusRemoteInvalidRequest)}, nil,
		nil, []want{ended(receives[0], transport.StatusLocalLength)})
	closed.a.close()
	closed.b.awaitEnd()
	closed.b.close()
	b.received.expectNone("shared receives outlive the connections")
	for id := uint64(1); id < 8; id++ {
		good.deliver([]request{send(id, from.at(0, size))}, received(id, size))
	}
}
