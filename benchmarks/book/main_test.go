package main

import (
	"os"
	"testing"
)

// Ends of measurements are this program again: the test's.
func TestMain(m *testing.M) {
	runPartIfAsked()
	os.Exit(m.Run())
}
