//go:build cgo && linux

package ibv

// Interrupt makes the current Wait, or else the next one, return early and
// without an error, once. It may be called from anywhere.
func (ch *Channel) Interrupt() { ch.events.interrupt() }

// Resume takes back an Interrupt that no Wait has answered. By the goroutine that
// calls Wait.
func (ch *Channel) Resume() { ch.events.resume() }
