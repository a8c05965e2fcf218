// Package effort says how thorough tests are: as they are run many times a day, or
// whole, as .ci/long runs them.
package effort

import (
	"os"
	"testing"
)

const variable = "TEST_EFFORT"

// Whole reports whether the environment has TEST_EFFORT=whole.
func Whole() bool { return os.Getenv(variable) == "whole" }

// NeedWhole skips a test that takes long, and says no more than others do for its time.
func NeedWhole(t testing.TB) {
	t.Helper()
	if !Whole() {
		t.Skipf("left to .ci/long: it takes long; %s=whole runs it", variable)
	}
}

// Scale is the Effort of a conformance suite: by it rounds are multiplied, and cases
// picked.
func Scale() float64 {
	if Whole() {
		return 1
	}
	return 0.2
}

// OneProcess and TwoProcesses are for the two ways to run one conformance suite. The
// race detector sees what happens within one process; without it two say more, as
// programs are apart like that. The other one is skipped unless the effort is whole.
func OneProcess(t testing.TB) {
	t.Helper()
	if !race {
		NeedWhole(t)
	}
}

func TwoProcesses(t testing.TB) {
	t.Helper()
	if race {
		NeedWhole(t)
	}
}

// Race reports whether the race detector is built in, with which code that computes takes
// ten times as long. It allocates, too, and sees what is a race by intent.
func Race() bool { return race }

// Of is the larger number for the whole effort, else the smaller one.
func Of(smaller, whole int) int {
	if Whole() {
		return whole
	}
	return smaller
}
