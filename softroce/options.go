package softroce

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// options is what the URL says.
type options struct {
	address      netip.AddrPort // invalid: loopback, any port
	mtu          int            // 0: what the interface allows
	segmentation bool
	exact        bool // check the ICRC exactly, with a raw socket
	resources    int
	rnrTimer     int // code
	rnrRetries   int
	retries      int
	minTimeout   time.Duration
	ackTimeout   time.Duration
	psn          int // -1: random
	faults       faultConfig
}

// Defaults, and what is good about them.
const (
	// defaultResources is what adapters usually offer.
	defaultResources = 16
	// defaultRNRTimer is 640 us: shorter ones make a storm of a receiver that is
	// late.
	defaultRNRTimer = 12
	// forEver is the RNR retry count that means it.
	forEver = 7
	// defaultMinTimeout is well above the millisecond or two after which the
	// background side of a busy peer answers.
	defaultMinTimeout = 5 * time.Millisecond
	// defaultAckTimeout is code 18; retransmissions are that far apart at most.
	defaultAckTimeout = 4096 * time.Nanosecond << 18
	// defaultRetries, with these timeouts, gives up after about nine seconds. The
	// end of the peer's process is noticed at once by the set-up stream; this is
	// for a network that fails, and must outlast a process that is only stopped.
	defaultRetries = 15
)

// parseOptions reads the URL.
func parseOptions(u *url.URL) (o options, err error) {
	o = options{
		segmentation: true, resources: defaultResources, rnrTimer: defaultRNRTimer, rnrRetries: forEver,
		retries: defaultRetries, minTimeout: defaultMinTimeout, ackTimeout: defaultAckTimeout, psn: -1,
	}
	if u.Path != "" || u.Opaque != "" || u.User != nil {
		return o, fmt.Errorf("%w: write softroce: or softroce://ADDRESS or softroce://ADDRESS:PORT", transport.ErrInvalid)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, err
	}
	p := params{query: query}
	trust := p.boolean("trust-network", false)
	o.mtu = p.integer("mtu", 0, 256, 4096)
	o.segmentation = p.boolean("segmentation", o.segmentation)
	o.exact = p.choice("icrc", "residual", "exact") == "exact"
	o.resources = p.integer("resources", o.resources, 1, 1024)
	o.rnrTimer = p.integer("rnr-timer", o.rnrTimer, 0, 31)
	o.rnrRetries = p.integer("rnr-retries", o.rnrRetries, 0, forEver)
	o.retries = p.integer("retries", o.retries, 0, 1000)
	o.minTimeout = p.duration("min-timeout", o.minTimeout, 10*time.Microsecond)
	o.ackTimeout = p.duration("ack-timeout", max(o.ackTimeout, o.minTimeout), o.minTimeout)
	o.psn = p.integer("psn", o.psn, 0, wire.PSNMask)
	o.faults = faultConfig{
		loss: p.probability("loss"), duplicate: p.probability("duplicate"),
		reorder: p.probability("reorder"), corrupt: p.probability("corrupt"),
		seed: uint64(p.integer("seed", 1, 0, 1<<62)),
	}
	if err := p.done(); err != nil {
		return o, err
	}
	if o.mtu != 0 && !roceaddr.ValidMTU(o.mtu) {
		return o, fmt.Errorf("%w: parameter mtu: %d is none of 256, 512, 1024, 2048, 4096", transport.ErrInvalid, o.mtu)
	}
	if u.Host == "" {
		return o, nil
	}
	if o.address, err = parseAddress(u); err != nil {
		return o, err
	}
	if !o.address.Addr().IsLoopback() && !trust {
		return o, fmt.Errorf("%w: RoCE packets are neither encrypted nor authenticated: whoever can send and read packets on the network of %v can read and write the memory that is registered here; if you trust that network, add the parameter trust-network: softroce://%s?trust-network",
			transport.ErrNotSupported, o.address.Addr(), u.Host)
	}
	return o, nil
}

func parseAddress(u *url.URL) (netip.AddrPort, error) {
	fail := func(why string) (netip.AddrPort, error) {
		return netip.AddrPort{}, fmt.Errorf("%w: softroce address %q: %s", transport.ErrInvalid, u.Host, why)
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return fail("give an IP address of this machine, not a name")
	}
	addr = addr.Unmap()
	if addr.IsUnspecified() || addr.IsMulticast() {
		return fail("give one address of this machine: the checksum of each packet covers it")
	}
	port := uint64(wire.Port)
	if s := u.Port(); s != "" {
		if port, err = strconv.ParseUint(s, 10, 16); err != nil {
			return fail("the port is no number from 0 to 65535")
		}
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// params reads the parameters of a URL, and remembers the first mistake.
type params struct {
	query url.Values
	known []string
	err   error
}

func (p *params) get(name string) (string, bool) {
	p.known = append(p.known, name)
	values, ok := p.query[name]
	if len(values) > 1 {
		p.fail(name, "given twice")
	}
	if !ok {
		return "", false
	}
	return values[0], true
}

func (p *params) fail(name, why string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: parameter %s: %s", transport.ErrInvalid, name, why)
	}
}

func (p *params) boolean(name string, value bool) bool {
	s, ok := p.get(name)
	if !ok {
		return value
	}
	if s == "" {
		return true
	}
	switch s {
	case "on":
		return true
	case "off":
		return false
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		p.fail(name, fmt.Sprintf("%q is neither on nor off", s))
	}
	return b
}

// choice is one of the values, the first by default.
func (p *params) choice(name string, values ...string) string {
	s, ok := p.get(name)
	if !ok {
		return values[0]
	}
	if !slices.Contains(values, s) {
		p.fail(name, fmt.Sprintf("%q is none of %v", s, values))
	}
	return s
}

func (p *params) integer(name string, value, least, most int) int {
	s, ok := p.get(name)
	if !ok {
		return value
	}
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil || n < int64(least) || n > int64(most) {
		p.fail(name, fmt.Sprintf("%q is no number from %d to %d", s, least, most))
	}
	return int(n)
}

func (p *params) duration(name string, value, least time.Duration) time.Duration {
	s, ok := p.get(name)
	if !ok {
		return value
	}
	const most = time.Minute
	d, err := time.ParseDuration(s)
	if err != nil || d < least || d > most {
		p.fail(name, fmt.Sprintf("%q is no duration from %v to %v, such as 5ms", s, least, most))
	}
	return d
}

func (p *params) probability(name string) float64 {
	s, ok := p.get(name)
	if !ok {
		return 0
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f < 1) {
		p.fail(name, fmt.Sprintf("%q is no probability from 0 to less than 1", s))
	}
	return f
}

func (p *params) done() error {
	for name := range p.query {
		if !slices.Contains(p.known, name) {
			slices.Sort(p.known)
			p.fail(name, fmt.Sprintf("softroce does not know it; it has %v", p.known))
		}
	}
	return p.err
}
