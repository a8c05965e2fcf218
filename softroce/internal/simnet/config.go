package simnet

import (
	"fmt"
	"time"
)

// Config is what a lane does to datagrams. The zero Config delivers each once, unchanged,
// in order, without delay. Chances are from 0 to 1, and independent of each other.
type Config struct {
	// Delay is how long a datagram travels; Jitter is the most that is added to
	// it, at random.
	Delay, Jitter time.Duration

	// Loss is the chance that a datagram is lost. With LossRun above 1, losses come
	// in runs of that mean length, and Loss remains the fraction that is lost in all.
	Loss    float64
	LossRun float64
	// Duplicate is the chance that a datagram arrives twice: the second copy has a
	// jitter of its own, may be held back, and is not duplicated again.
	Duplicate float64
	// Reorder is the chance that a datagram is held back, by up to ReorderBy, while
	// others pass it.
	Reorder   float64
	ReorderBy time.Duration
	// Flip is the chance that a few bits of a datagram arrive inverted, Truncate that
	// it arrives shorter than it was sent, of any length down to nothing. Each copy
	// of a datagram has its own chances.
	Flip, Truncate float64

	// MTU is the longest datagram that passes, in bytes; 0: any.
	MTU int
	// BytesPerSecond is how fast a lane takes datagrams out of its queue; 0: at once,
	// so that the queue is always empty.
	BytesPerSecond int64
	// QueueDatagrams and QueueBytes bound the queue, as a socket buffer does: a
	// datagram that finds no room is dropped. 0: no bound.
	QueueDatagrams, QueueBytes int
}

// check panics when c makes no sense: that is a mistake in the test.
func (c *Config) check() {
	for _, f := range []struct {
		name   string
		chance float64
	}{{"Loss", c.Loss}, {"Duplicate", c.Duplicate}, {"Reorder", c.Reorder}, {"Flip", c.Flip}, {"Truncate", c.Truncate}} {
		if !(f.chance >= 0 && f.chance <= 1) {
			panic(fmt.Sprintf("simnet: %s is %v, which is no chance", f.name, f.chance))
		}
	}
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Delay", int64(c.Delay)}, {"Jitter", int64(c.Jitter)}, {"ReorderBy", int64(c.ReorderBy)}, {"MTU", int64(c.MTU)},
		{"BytesPerSecond", c.BytesPerSecond}, {"QueueDatagrams", int64(c.QueueDatagrams)}, {"QueueBytes", int64(c.QueueBytes)},
	} {
		if f.value < 0 {
			panic(fmt.Sprintf("simnet: %s is %d", f.name, f.value))
		}
	}
	if c.LossRun > 1 && c.Loss < 1 && c.Loss/(1-c.Loss) > c.LossRun {
		panic(fmt.Sprintf("simnet: runs of %v cannot add up to a loss of %v", c.LossRun, c.Loss))
	}
	if c.Reorder > 0 && c.ReorderBy == 0 {
		panic("simnet: Reorder without ReorderBy holds nothing back")
	}
}
