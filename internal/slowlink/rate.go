package slowlink

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is bits a second; 0 is no limit.
type Rate float64

// The rates that ParseRate takes, which keep all times within a time.Duration.
const (
	minRate = 1e3
	maxRate = 1e13
)

var units = []struct {
	name string
	bits float64
}{{"Gbit", 1e9}, {"Mbit", 1e6}, {"kbit", 1e3}, {"bit", 1}}

// ParseRate reads a rate such as 10Gbit: a number, and kbit, Mbit or Gbit a second,
// by thousands, or bit.
func ParseRate(text string) (Rate, error) {
	for _, unit := range units {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(number, 64)
		if rate := Rate(n * unit.bits); err == nil && rate.Valid() {
			return rate, nil
		}
		break
	}
	return 0, fmt.Errorf("%q is no rate from 1kbit to 10000Gbit a second, such as 10Gbit, 2.5Mbit or 56kbit", text)
}

// Valid reports whether ParseRate takes such a rate.
func (r Rate) Valid() bool { return r >= minRate && r <= maxRate }

// String is the rate as ParseRate reads it.
func (r Rate) String() string {
	for _, unit := range units {
		if float64(r) >= unit.bits {
			return strconv.FormatFloat(float64(r)/unit.bits, 'f', -1, 64) + unit.name
		}
	}
	return "0bit"
}

// time is how long bytes take.
func (r Rate) time(bytes int) time.Duration {
	if r == 0 {
		return 0
	}
	return time.Duration(8e9 * float64(bytes) / float64(r))
}
