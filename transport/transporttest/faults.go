package transporttest

import (
	"fmt"
	"net/url"

	"github.com/rfaas-go/rfaas/transport"
)

var faultTests = []test{
	{"faults/every request ends once, whatever is injected", needs{}, stormSeeds},
}

// stormSeeds runs random traffic in both directions over several connections,
// with devices of their own for each seed. When a fault breaks a connection, both
// ends notice, everything posted on it ends once and in order, the others go on,
// and nothing remains.
func stormSeeds(p *pair) {
	const conns = 3
	broken := 0
	for seed := range uint64(p.cfg.Seeds) {
		p.close()
		for _, e := range p.ends() {
			p.open(e, withSeed(e.url, p.cfg.Seed+seed))
		}
		var storms [conns][2]*future[stormResult]
		var links [conns]link
		for i := range links {
			links[i] = p.connect(shape{sendDepth: 16, recvDepth: 16, inline: min(64, p.maxInline())})
			for side, l := range []link{links[i], links[i].reversed()} {
				storms[i][side] = l.storm(p.rounds(200), p.cfg.Seed+seed+uint64(i*2+side)<<32)
			}
		}
		for i, l := range links {
			a, b := storms[i][0].must(), storms[i][1].must()
			if (a.Broken == "") != (b.Broken == "") {
				l.a.awaitEnd() // one noticed after its last request
				l.b.awaitEnd()
			}
			if l.a.err() != nil {
				broken++
			}
			l.close()
			for _, s := range []side{l.a, l.b} {
				s.station.sent.expectNone(fmt.Sprintf("seed %d: after all requests had ended", p.cfg.Seed+seed))
				s.station.received.expectNone(fmt.Sprintf("seed %d: after all receives had ended", p.cfg.Seed+seed))
			}
		}
	}
	p.Logf("of %d connections, faults broke %d", conns*p.cfg.Seeds, broken)
	if broken == 0 {
		p.Fatalf("no fault broke any connection; what does %s inject?", p.cfg.URL)
	}
}

// storm starts the traffic of side a.
func (l link) storm(count int, seed uint64) *future[stormResult] {
	const target = 4096
	return runStorm.start(l.a.end, stormArgs{
		Loop: l.a.loopArgs(),
		From: l.a.streamMemory(stormBytes, transport.LocalOnly).id,
		Into: l.a.alloc(l.a.recvDepth*stormBytes, transport.LocalOnly).id,
		To:   l.b.alloc(target, transport.RemoteAll).whole,
		Ops:  l.a.caps.Ops & l.b.caps.Ops, Depth: l.a.sendDepth, Inline: l.a.conn.Inline,
		Count: count, Seed: seed,
	})
}

// withSeed is a device's URL with another parameter "seed".
func withSeed(rawURL string, seed uint64) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return rawURL // Open reports the error
	}
	q := u.Query()
	q.Set("seed", fmt.Sprint(seed))
	u.RawQuery = q.Encode()
	return u.String()
}
