package transporttest

var leakTests = []test{
	{"leaks/connections and regions come and go while the device stays", needs{}, churn},
}

// churn makes and closes connections and regions, with both orders of closing,
// and checks that the descriptors and goroutines in use do not grow.
func churn(p *pair) {
	s := shape{extraDepth: spareDepth}
	a, b := p.a.station(s), p.b.station(s)
	once := func(round int) {
		l := p.join(a, b)[0].turned(round)
		l.expectWorking("one of many connections")
		l.a.close()
		l.b.awaitEnd()
		l.b.close()
	}
	const warmUp = 5
	for round := range warmUp { // whatever is made once and kept
		once(round)
	}
	held := map[*end]footprint{}
	for _, e := range p.ends() {
		held[e] = takeFootprint.must(e, false)
	}
	for round := range p.rounds(100) {
		once(round)
	}
	for _, e := range p.ends() {
		p.compareFootprint(e, held[e])
	}
}
