package benchmarks

import "strconv"

// formatBinary writes a number of bytes, with a binary prefix where that is exact: 64,
// 1 Ki, 1000, 3 Mi.
func formatBinary(n int) string {
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

// formatBytes is formatBinary with the unit: 64 B, 1 KiB.
func formatBytes(n int) string {
	s := formatBinary(n)
	if s[len(s)-1] == 'i' {
		return s + "B"
	}
	return s + " B"
}

// formatTime writes nanoseconds: 180 ns, 1.5 us, 20 ms.
func formatTime(ns float64) string { return decimal(ns, []string{"ns", "us", "ms", "s"}) }

// formatRate writes bytes a second: 33.1 GB/s.
func formatRate(v float64) string {
	return decimal(v, []string{"B/s", "kB/s", "MB/s", "GB/s", "TB/s"})
}

// formatCount writes a rate of operations: 4.2 M/s.
func formatCount(v float64) string { return decimal(v, []string{"/s", "k/s", "M/s", "G/s"}) }

// decimal writes a value with the largest of its units, each a thousand times
// the one before, that leaves something before the point.
func decimal(v float64, units []string) string {
	i := 0
	for ; i < len(units)-1 && v >= 999.5; i++ {
		v /= 1000
	}
	return short(v) + " " + units[i]
}

// short writes a number with three significant digits.
func short(v float64) string {
	digits := 0
	switch {
	case v < 9.995:
		digits = 2
	case v < 99.95:
		digits = 1
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if digits > 0 { // 1.50 is 1.5, 2.00 is 2
		for s[len(s)-1] == '0' {
			s = s[:len(s)-1]
		}
		if s[len(s)-1] == '.' {
			s = s[:len(s)-1]
		}
	}
	return s
}
