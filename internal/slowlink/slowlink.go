// Package slowlink computes when what crosses a slow link arrives.
package slowlink

import (
	"math/rand/v2"
	"strings"
	"time"
)

// Config is what makes a link slow. The zero Config is a link that is not.
type Config struct {
	Delay  time.Duration // one way
	Jitter time.Duration // Delay varies by up to this, uniformly; it is never negative
	Rate   Rate
}

// Slow reports whether anything arrives later over this link.
func (c Config) Slow() bool { return c != Config{} }

// String is the link as parameters of a URL, empty for the zero Config.
func (c Config) String() string {
	var words []string
	if c.Delay != 0 {
		words = append(words, "delay="+c.Delay.String())
	}
	if c.Jitter != 0 {
		words = append(words, "jitter="+c.Jitter.String())
	}
	if c.Rate != 0 {
		words = append(words, "rate="+c.Rate.String())
	}
	return strings.Join(words, "&")
}

// Link is one direction of a link. One goroutine at a time uses it. Moments are
// counted from any beginning, the same one for all.
type Link struct {
	config Config
	random *rand.Rand
	free   time.Duration // when all that was sent so far has left
	last   time.Duration // when the last of it arrives
}

// New makes a link. Its jitter follows from seed and stream.
func New(c Config, seed, stream uint64) Link {
	return Link{config: c, random: rand.New(rand.NewPCG(seed, stream))}
}

// Leave is when bytes that come to the link now have left it, behind those before
// them.
func (l *Link) Leave(now time.Duration, bytes int) time.Duration {
	l.free = max(l.free, now) + l.config.Rate.time(bytes)
	return l.free
}

// Arrive is when what left the link at a moment arrives: not before what left
// earlier.
func (l *Link) Arrive(left time.Duration) time.Duration {
	delay := l.config.Delay
	if j := int64(l.config.Jitter); j > 0 {
		delay = max(delay+time.Duration(l.random.Int64N(2*j+1)-j), 0)
	}
	l.last = max(l.last, left+delay)
	return l.last
}
