// Package chart is how measurements are written and drawn: the figures, the ticks of axes, the
// colours and the lines of distributions.
package chart

import (
	"strconv"
	"strings"
)

// Units of figures, each a thousand times the one before.
var (
	Nanoseconds    = []string{"ns", "us", "ms", "s"}
	PerSecond      = []string{"/s", "k/s", "M/s", "G/s"}
	BytesPerSecond = []string{"B/s", "kB/s", "MB/s", "GB/s", "TB/s"}
)

// Decimal writes a value with the largest of its units that leaves something before the
// point: 1.25 us.
func Decimal(v float64, units []string) string {
	i := 0
	for ; i < len(units)-1 && v >= 999.5; i++ {
		v /= 1000
	}
	return Digits(v) + " " + units[i]
}

// Digits writes a number with three significant digits, more if that many are before the point, and no
// zeros at the end of a fraction: 1.5, 2, 0.052, 1234.
func Digits(v float64) string {
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

// Binary writes a number of bytes, with a binary prefix where that is exact: 64, 1 Ki, 1000,
// 3 Mi.
func Binary(n int) string {
	for _, p := range []struct {
		unit   int
		prefix string
	}{{1 << 30, " Gi"}, {1 << 20, " Mi"}, {1 << 10, " Ki"}} {
		if n >= p.unit && n%p.unit == 0 {
			return strconv.Itoa(n/p.unit) + p.prefix
		}
	}
	return strconv.Itoa(n)
}

// Bytes is Binary with the unit: 64 B, 1 KiB.
func Bytes(n int) string {
	s := Binary(n)
	if s[len(s)-1] == 'i' {
		return s + "B"
	}
	return s + " B"
}
