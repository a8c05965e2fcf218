package transporttest

import (
	"cmp"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/transport"
)

// Config is what to test and how hard. The zero value of each field but URL is
// a sensible one.
type Config struct {
	// URL opens the device of both ends; PeerURL, if set, that of end b.
	URL, PeerURL string
	// Processes is where the ends are: 1 (the default), both in the test's own
	// process, or 2, end b in a process of its own.
	Processes int
	// Prefix is put before the command line of the peer process, to have it run
	// elsewhere on this machine: {"ip", "netns", "exec", "peer"}.
	Prefix []string
	// Network is the stream that connections are set up on, "unix" or "tcp". The
	// default is "tcp" with a HostA or HostB, "unix" without. Unix sockets do not
	// reach another network namespace.
	Network string
	// HostA and HostB are the addresses on which the ends listen when Network is
	// "tcp". Default 127.0.0.1.
	HostA, HostB string
	// MaxBytes caps the size of messages. Default 16 MiB.
	MaxBytes int
	// Connections is how many share a queue in the tests of sharing. Default 200.
	Connections int
	// Effort scales the number of rounds; below 1 it is also the share of the cases,
	// picked by the seed, of tests that go through many. Default 1; less in the
	// -short mode and under the race detector.
	Effort float64
	// Patience bounds every wait. Default 20 s.
	Patience time.Duration
	// Seed makes every random choice. Default: another one each time, printed.
	Seed uint64
	// Only, if set, are the beginnings of the names of the tests to be run.
	Only []string
	// Exclude names tests not to be run, each with the reason, which is printed.
	Exclude map[string]string
	// Instead lists which statuses the device of either end reports in place of
	// which others, for drivers that do not distinguish them.
	Instead map[transport.Status]transport.Status
	// RegionsFirst: the regions of a killed process are freed before its
	// connections, so that requests may find them gone.
	RegionsFirst bool
	// Gentle is for drivers that can hang: the random walk then posts receives before
	// the messages for them, and has one end of each connection make all requests.
	Gentle bool
	// Faults is what a fault-injecting decorator in URL does.
	Faults Faults
	// Seeds is how many seeds the test of FaultsFatal goes through. Default 100.
	Seeds int
}

// Faults are what a decorator in Config.URL injects.
type Faults int

const (
	// FaultsNone: nothing is injected; the whole suite runs.
	FaultsNone Faults = iota
	// FaultsBenign: posts may be refused with ErrQueueFull without need, and
	// completions delayed. Everything holds, but for exact queue limits and the
	// absence of allocations.
	FaultsBenign
	// FaultsFatal: connections are lost and requests fail at random. Only the
	// tests made for it run, over many seeds, which replace the parameter "seed"
	// of the URLs.
	FaultsFatal
)

const (
	defaultMaxBytes    = 16 << 20
	defaultConnections = 200
	defaultPatience    = 20 * time.Second
	defaultSeeds       = 100
	defaultHost        = "127.0.0.1"

	shortEffort = 0.3
	raceEffort  = 0.3
)

// means reports whether a status is the wanted one, or what is reported instead.
func (c *Config) means(got, want transport.Status) bool {
	instead, ok := c.Instead[want]
	return got == want || ok && got == instead
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	c.Processes = cmp.Or(c.Processes, 1)
	c.MaxBytes = cmp.Or(c.MaxBytes, defaultMaxBytes)
	c.Connections = cmp.Or(c.Connections, defaultConnections)
	c.Seeds = cmp.Or(c.Seeds, defaultSeeds)
	c.PeerURL = cmp.Or(c.PeerURL, c.URL)
	if c.Network == "" {
		c.Network = "unix"
		if c.HostA != "" || c.HostB != "" {
			c.Network = "tcp"
		}
	}
	c.HostA, c.HostB = cmp.Or(c.HostA, defaultHost), cmp.Or(c.HostB, defaultHost)
	c.Patience = cmp.Or(c.Patience, defaultPatience)
	c.Seed = cmp.Or(c.Seed, rand.Uint64())
	if c.Effort == 0 {
		c.Effort = 1
		if testing.Short() {
			c.Effort *= shortEffort
		}
		if effort.Race() {
			c.Effort *= raceEffort
		}
	}
	return c
}
