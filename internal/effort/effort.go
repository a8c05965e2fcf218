// Package effort is how thorough tests are: short, as for many runs a day, or whole, as in
// .ci/long.
package effort

import (
	"os"
	"testing"
)

const variable = "TEST_EFFORT"

// Whole reports whether the environment has TEST_EFFORT=whole.
func Whole() bool { return os.Getenv(variable) == "whole" }

// NeedWhole skips a test that takes longer than it is worth in every run.
func NeedWhole(t testing.TB) {
	t.Helper()
	if !Whole() {
		t.Skipf("left to .ci/long: it takes long; %s=whole runs it", variable)
	}
}

// Scale is the Effort of a conformance suite: a factor for rounds and cases.
func Scale() float64 {
	if Whole() {
		return 1
	}
	return 0.2
}

// OneProcess and TwoProcesses are for the two ways to run a conformance suite. The race
// detector needs one process; without it two show more, since programs run like that. The
// other way is skipped unless the effort is whole.
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

// Race reports whether the race detector is built in. It makes computation ten times slower,
// allocates, and reports intended races.
func Race() bool { return race }

// Of returns whole for the whole effort, else smaller.
func Of(smaller, whole int) int {
	if Whole() {
		return whole
	}
	return smaller
}
