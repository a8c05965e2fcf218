//go:build cgo && linux

package ibv

import "time"

// Interrupt makes the Wait that is under way return early and without an error,
// and every later one, until Resume. It may be called from anywhere.
func (ch *Channel) Interrupt() { _ = ch.events.file.SetReadDeadline(time.Unix(1, 0)) }

// Resume ends the effect of Interrupt. By whoever calls Wait.
func (ch *Channel) Resume() { _ = ch.events.file.SetReadDeadline(time.Time{}) }
