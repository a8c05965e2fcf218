package shm

import "sync/atomic"

// A bell is a word of a queue pair's half that announces that its program sleeps.
// Peers ring by a control message (messageRingReceiver, messageRingSender): there is
// no descriptor that two processes share, because a process that has one can make the
// calls of the others on it block, or consume their wake-ups. Each time a program
// goes to sleep it raises the bell to a value not used before. A peer that finds a
// value that it has not answered yet rings. So a peer rings once for each sleep, and
// never needs to write where the sleeper does.

// raise announces a sleep in a bell word, unless the last one has not been
// answered yet.
func raise(word *atomic.Uint32, answered uint32) {
	v := word.Load()
	if v != 0 && v != answered {
		return
	}
	if v++; v == 0 {
		v = 1 // 0 is "never slept"
	}
	word.Store(v)
}
