package main

import (
	"strconv"
	"strings"
)

// unit is what figures are in, and how they are written.
type unit struct {
	name   string
	better string // which figures are the good ones
	steps  []string
}

var (
	nanoseconds    = unit{"time", "less is better", []string{"ns", "µs", "ms", "s"}}
	perSecond      = unit{"operations a second", "more is better", []string{"/s", "k/s", "M/s", "G/s"}}
	bytesPerSecond = unit{"bytes a second", "more is better", []string{"B/s", "kB/s", "MB/s", "GB/s", "TB/s"}}
)

// format writes a figure with three digits: 1.25 µs.
func (u unit) format(v float64) string {
	i := 0
	for ; i < len(u.steps)-1 && v >= 999.5; i++ {
		v /= 1000
	}
	return digits(v) + " " + u.steps[i]
}

// digits writes a number with three significant digits, and no more than it needs.
func digits(v float64) string {
	if v >= 99.95 || v == 0 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	places := 1
	for x := v; x < 9.995 && places < 6; x *= 10 {
		places++
	}
	s := strconv.FormatFloat(v, 'f', places, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// formatRatio writes a quotient: 0.052×.
func formatRatio(v float64) string { return digits(v) + "×" }

// formatBytes writes a size: 64 B, 4 KiB.
func formatBytes(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + " MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + " KiB"
	}
	return strconv.Itoa(n) + " B"
}
