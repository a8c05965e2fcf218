//go:build !cgo || !linux

package ibv

// Interrupt does nothing.
func (*Channel) Interrupt() {}

// Resume does nothing.
func (*Channel) Resume() {}
