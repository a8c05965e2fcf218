//go:build race

package benchmarks

import "os"

const raceEnabled = true

// A peer that ends would otherwise sleep for a second before it does.
func init() { os.Setenv("GORACE", "atexit_sleep_ms=0") }
