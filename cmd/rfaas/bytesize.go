package main

import (
	"fmt"
	"strconv"
	"strings"
)

// byteSize is a flag's number of bytes: 65536, 64KiB, 64MiB, 1GiB.
type byteSize int64

var byteUnits = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func parseByteSize(s string) (byteSize, error) {
	number, unit := s, int64(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = rest, u.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return 0, fmt.Errorf("%q is not a number of bytes such as 65536, 64KiB or 1GiB", s)
	}
	return byteSize(n * unit), nil
}

// Set implements pflag.Value.
func (b *byteSize) Set(s string) (err error) {
	*b, err = parseByteSize(s)
	return err
}

// String implements pflag.Value.
func (b *byteSize) String() string {
	for _, u := range byteUnits {
		if n := int64(*b); n > 0 && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return strconv.FormatInt(int64(*b), 10)
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "size" }

// byteSizes is a flag's list of them, separated by commas.
type byteSizes []int

// Set implements pflag.Value.
func (b *byteSizes) Set(s string) error {
	*b = nil
	for part := range strings.SplitSeq(s, ",") {
		n, err := parseByteSize(part)
		if err != nil {
			return err
		}
		*b = append(*b, int(n))
	}
	return nil
}

// String implements pflag.Value.
func (b *byteSizes) String() string {
	var parts []string
	for _, n := range *b {
		size := byteSize(n)
		parts = append(parts, size.String())
	}
	return strings.Join(parts, ",")
}

// Type implements pflag.Value.
func (b *byteSizes) Type() string { return "sizes" }
