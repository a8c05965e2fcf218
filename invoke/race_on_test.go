//go:build race

package invoke

const RaceEnabled = true
