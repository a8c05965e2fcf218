package benchmarks

import (
	"slices"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// The modes of waiting.
const (
	Hot      = "hot"      // polls
	Warm     = "warm"     // sleeps at once
	Adaptive = "adaptive" // polls for AdaptiveSpin, then sleeps
)

// AdaptiveSpin is how long the mode adaptive polls before it sleeps.
const AdaptiveSpin = 50 * time.Microsecond

var allModes = []string{Hot, Warm, Adaptive}

// spinOf is how long transport.Queue.Wait polls in a mode.
func spinOf(mode string) time.Duration {
	switch mode {
	case Warm:
		return transport.Warm
	case Adaptive:
		return AdaptiveSpin
	}
	return transport.Hot
}

// invokeMode is a mode as package invoke has it.
func invokeMode(mode string) invoke.Mode {
	switch mode {
	case Warm:
		return invoke.Warm
	case Adaptive:
		return invoke.Adaptive(AdaptiveSpin)
	}
	return invoke.Hot
}

// modeFor is the mode that a test runs in when asked for one, "" being its own
// default.
func (t *test) modeFor(asked string) (string, error) {
	switch {
	case asked == "":
		return t.modes[0], nil
	case !slices.Contains(allModes, asked):
		return "", oneOf("mode", asked, allModes)
	case !slices.Contains(t.modes, asked):
		return "", flagErrorf("--mode %s: %s runs in mode %s only (%s)", asked, t.name, strings.Join(t.modes, ", "), t.modesWhy)
	}
	return asked, nil
}
