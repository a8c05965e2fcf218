package softroce

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/rfaas-go/rfaas/internal/params"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/internal/slowlink"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// options are the parameters of the URL.
type options struct {
	address      netip.AddrPort // invalid: one of the loopback's, see listen
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

// parameterNames are those that parseOptions reads.
var parameterNames = []string{
	"trust-network", "mtu", "segmentation", "icrc", "resources", "rnr-timer", "rnr-retries", "retries",
	"min-timeout", "ack-timeout", "psn", "loss", "duplicate", "reorder", "corrupt",
	"delay", "jitter", "rate", "seed",
}

// Defaults, and the reasons for them.
const (
	// defaultResources is what adapters usually offer.
	defaultResources = 16
	// defaultRNRTimer is 640 us: shorter ones make a storm of a receiver that is
	// late.
	defaultRNRTimer = 12
	// forEver is the RNR retry count without a limit.
	forEver = 7
	// defaultMinTimeout is well above the millisecond or two after which the
	// background side of a busy peer answers.
	defaultMinTimeout = 5 * time.Millisecond
	// defaultAckTimeout is code 18; retransmissions are that far apart at most.
	defaultAckTimeout = 4096 * time.Nanosecond << 18
	// defaultRetries, with these timeouts, gives up after about ten seconds. The
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
	p := params.Of(u)
	trust := p.Boolean("trust-network", false)
	o.mtu = p.Integer("mtu", 0, 256, 4096)
	o.segmentation = p.Boolean("segmentation", o.segmentation)
	o.exact = p.Choice("icrc", "residual", "exact") == "exact"
	o.resources = p.Integer("resources", o.resources, 1, 1024)
	o.rnrTimer = p.Integer("rnr-timer", o.rnrTimer, 0, 31)
	o.rnrRetries = p.Integer("rnr-retries", o.rnrRetries, 0, forEver)
	o.retries = p.Integer("retries", o.retries, 0, 1000)
	o.minTimeout = p.Duration("min-timeout", o.minTimeout, 10*time.Microsecond)
	o.ackTimeout = p.Duration("ack-timeout", max(o.ackTimeout, o.minTimeout), o.minTimeout)
	o.psn = p.Integer("psn", o.psn, 0, wire.PSNMask)
	o.faults = faultConfig{
		loss: p.Probability("loss"), duplicate: p.Probability("duplicate"),
		reorder: p.Probability("reorder"), corrupt: p.Probability("corrupt"),
		link: slowlink.Config{Delay: p.Duration("delay", 0, 0), Jitter: p.Duration("jitter", 0, 0), Rate: p.Rate("rate")},
		seed: uint64(p.Integer("seed", 1, 0, 1<<62)),
	}
	if err := p.Done("softroce"); err != nil {
		return o, fmt.Errorf("%w: %w", transport.ErrInvalid, err)
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
