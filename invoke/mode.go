package invoke

import (
	"fmt"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// Mode is how a client waits for replies, or a worker for requests: by polling,
// by sleeping, or by polling for a bounded time and then sleeping. The zero Mode
// is DefaultMode.
type Mode struct {
	kind  modeKind
	bound time.Duration // of modeAdaptive
}

type modeKind uint8

const (
	modeDefault modeKind = iota
	modeHot
	modeWarm
	modeAdaptive
)

// defaultBound is somewhat more than what a wake-up costs: to poll for as long
// as a sleep would cost is at most twice as bad as knowing the future.
const defaultBound = 50 * time.Microsecond

var (
	// Hot polls and never sleeps: lowest latency, one core busy.
	Hot = Mode{kind: modeHot}
	// Warm sleeps at once: no processor time while idle, a wake-up for each wait.
	Warm = Mode{kind: modeWarm}
	// DefaultMode polls for 50 microseconds before it sleeps.
	DefaultMode = Adaptive(defaultBound)
)

// Adaptive polls for the duration bound since it last had something to do, and
// then sleeps.
func Adaptive(bound time.Duration) Mode {
	return Mode{kind: modeAdaptive, bound: max(bound, 0)}
}

// ParseMode reads "hot", "warm", "adaptive" (with the default bound) or
// "adaptive:50us".
func ParseMode(s string) (Mode, error) {
	name, bound, bounded := strings.Cut(s, ":")
	switch {
	case s == "hot":
		return Hot, nil
	case s == "warm":
		return Warm, nil
	case s == "adaptive":
		return DefaultMode, nil
	case name == "adaptive" && bounded:
		d, err := time.ParseDuration(bound)
		if err == nil && d >= 0 {
			return Adaptive(d), nil
		}
		return Mode{}, fmt.Errorf("invoke: mode %q: %q is not a duration such as 50us", s, bound)
	}
	return Mode{}, fmt.Errorf("invoke: unknown mode %q; there are hot, warm, adaptive and adaptive:DURATION", s)
}

// String is what ParseMode reads.
func (m Mode) String() string {
	switch m.kind {
	case modeHot:
		return "hot"
	case modeWarm:
		return "warm"
	case modeAdaptive:
		return "adaptive:" + strings.ReplaceAll(m.bound.String(), "µ", "u")
	}
	return DefaultMode.String()
}

// MarshalText and UnmarshalText let flags and files hold a Mode.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what ParseMode reads.
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}

// Spin is how long a wait in this mode polls before it sleeps, as
// transport.Queue.Wait takes it: transport.Hot, longer than anything lasts, for
// a mode that never sleeps.
func (m Mode) Spin() time.Duration {
	switch m.kind {
	case modeHot:
		return transport.Hot
	case modeWarm:
		return transport.Warm
	case modeAdaptive:
		return m.bound
	}
	return defaultBound
}
