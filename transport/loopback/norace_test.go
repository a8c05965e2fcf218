//go:build !race

package loopback_test

const underRace = false
