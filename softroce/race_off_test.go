//go:build !race

package softroce_test

const raceEnabled = false
