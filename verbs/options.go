package verbs

import (
	"fmt"
	"math/bits"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/internal/params"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/transport"
)

// options are the parameters of the URL.
type options struct {
	device     string     // "": the first that will do
	address    netip.Addr // instead of a device
	port       int        // 0: the first that is active
	gid        int        // -1: by the rules
	mtu        int        // 0: the port's
	resources  int
	rnrTimer   int // code
	rnrRetries int
	ackTimeout int // code
	retries    int
	sl, tc     int
	psn        int // -1: random
}

// parameterNames are those that parseOptions reads.
var parameterNames = []string{
	"gid", "mtu", "resources", "rnr-timer", "rnr-retries", "ack-timeout", "retries", "sl", "tc", "psn",
}

// Defaults, and the reasons for them.
const (
	// defaultResources is what most adapters can do.
	defaultResources = 16
	// defaultRNRTimer is 640 us. Code 0 would be the longest, 655 ms, and the shortest
	// ones make a storm of a receiver that is late.
	defaultRNRTimer = 12
	// forEver is the RNR retry count without a limit.
	forEver = 7
	// defaultRetries is one less than the most there is, which rxe takes to mean for
	// ever.
	defaultRetries = 6
	// defaultAckTimeout is 4.096 us << 16, 268 ms: with the retries, a peer is given
	// up after two seconds. The end of the peer's process is noticed at once by the
	// set-up stream; this is for networks that fail. Shorter ones expire when a peer
	// in user space, or a virtual machine, does not run for a moment.
	defaultAckTimeout = 16

	maxAckTimeout = 31
	ackUnit       = 4096 * time.Nanosecond
)

// parseOptions reads the URL.
func parseOptions(u *url.URL) (o options, err error) {
	fail := func(format string, args ...any) (options, error) {
		return o, fmt.Errorf("%w: "+format, append([]any{transport.ErrInvalid}, args...)...)
	}
	if u.Opaque != "" || u.User != nil || u.Port() != "" {
		return fail("write verbs:, verbs://DEVICE, verbs://DEVICE/PORT or verbs://ADDRESS")
	}
	p := params.Of(u)
	o = options{
		gid:        p.Integer("gid", -1, 0, 1<<16),
		mtu:        p.Integer("mtu", 0, 256, 4096),
		resources:  p.Integer("resources", defaultResources, 1, 255),
		rnrTimer:   p.Integer("rnr-timer", defaultRNRTimer, 0, 31),
		rnrRetries: p.Integer("rnr-retries", forEver, 0, forEver),
		ackTimeout: timeoutCode(p.Duration("ack-timeout", ackUnit<<defaultAckTimeout, ackUnit)),
		retries:    p.Integer("retries", defaultRetries, 0, 7),
		sl:         p.Integer("sl", 0, 0, 15),
		tc:         p.Integer("tc", 0, 0, 255),
		psn:        p.Integer("psn", -1, 0, 1<<24-1),
	}
	if err := p.Done("verbs"); err != nil {
		return fail("%w", err)
	}
	if o.mtu != 0 && !roceaddr.ValidMTU(o.mtu) {
		return fail("parameter mtu: %d is none of 256, 512, 1024, 2048, 4096", o.mtu)
	}
	if path := strings.TrimPrefix(u.Path, "/"); path != "" {
		if o.port, err = strconv.Atoi(path); err != nil || o.port < 1 || o.port > 255 {
			return fail("port %q of device %q is no number from 1 to 255", path, u.Host)
		}
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil {
		o.address = address.Unmap()
		if o.port != 0 {
			return fail("the address %v says which port it is; leave out %q", o.address, u.Path)
		}
		return o, nil
	}
	o.device = u.Host
	if o.device == "" && o.port != 0 {
		return fail("port %d of which device? Write verbs://DEVICE/%d", o.port, o.port)
	}
	return o, nil
}

// timeoutCode is the smallest code of an ACK timeout that is not shorter than d.
func timeoutCode(d time.Duration) int {
	units := uint64((d + ackUnit - 1) / ackUnit)
	return min(max(bits.Len64(units-1), 1), maxAckTimeout) // code 0 would mean no timeout at all
}

func (o *options) ackDuration() time.Duration { return ackUnit << o.ackTimeout }
