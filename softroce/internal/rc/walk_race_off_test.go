//go:build !race

package rc_test

const raceEnabled = false
