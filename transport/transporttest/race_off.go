//go:build !race

package transporttest

// raceEnabled reports whether the race detector is built in: it slows
// everything down several times, and allocates.
const raceEnabled = false
