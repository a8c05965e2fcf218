// Package progress shows how far a run has come: as a bar on a terminal, as a
// line now and then elsewhere. What else is written to the same place, such as
// log lines, goes through it, so that the two do not get mixed up.
package progress

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// How often the bar is drawn, and lines are written.
const (
	barInterval   = 200 * time.Millisecond
	clockInterval = time.Second // of what has no end in sight
	lineInterval  = 5 * time.Second
)

// Meter shows progress. Any goroutine may call its methods.
type Meter struct {
	out      *os.File
	terminal bool

	mu                  sync.Mutex
	what                string
	total, done, failed int
	began               time.Time
	drawn               bool          // there is a bar on the terminal
	finish              chan struct{} // ends show; nil when nothing is under way
	showing             sync.WaitGroup
}

// New makes a meter that shows nothing yet. out is usually the standard error.
func New(out *os.File) *Meter { return newMeter(out, os.Getenv("TERM")) }

// newMeter makes a meter for a kind of terminal. One that can do nothing, or is not known,
// gets lines.
func newMeter(out *os.File, kind string) *Meter {
	return &Meter{out: out, terminal: kind != "" && kind != "dumb" && term.IsTerminal(int(out.Fd()))}
}

// Begin starts to show progress of total steps, 0 if nobody knows how many there are.
func (m *Meter) Begin(what string, total int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.what, m.total, m.done, m.failed, m.began = what, total, 0, 0, time.Now()
	interval := lineInterval
	if m.terminal {
		interval = barInterval
		if total == 0 {
			interval = clockInterval
		}
		m.drawn = true
		m.draw()
	}
	finish := make(chan struct{})
	m.finish = finish
	m.showing.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				m.show()
			case <-finish:
				return
			}
		}
	})
}

// Name changes what is shown to be under way.
func (m *Meter) Name(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.what = what
	if m.drawn {
		m.draw()
	}
}

// Step counts a step.
func (m *Meter) Step(failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done++
	if failed {
		m.failed++
	}
}

// show brings what is shown up to date.
func (m *Meter) show() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drawn {
		m.draw()
		return
	}
	fmt.Fprintln(m.out, m.line(time.Since(m.began)))
}

// line says how far the run has come.
func (m *Meter) line(elapsed time.Duration) string {
	if m.total == 0 {
		return fmt.Sprintf("%s: after %v", m.label(), elapsed.Round(time.Second))
	}
	s := fmt.Sprintf("%s: %d of %d after %v", m.label(), m.done, m.total, elapsed.Round(time.Second))
	if left, ok := m.left(elapsed); ok {
		s += fmt.Sprintf(", about %v left", left.Round(time.Second))
	}
	return s
}

// left is how long the rest takes, if it goes on like this.
func (m *Meter) left(elapsed time.Duration) (left time.Duration, known bool) {
	if m.done == 0 || m.done >= m.total {
		return 0, false
	}
	return time.Duration(float64(elapsed) / float64(m.done) * float64(m.total-m.done)), true
}

// label is what is done, and what is to be known about it.
func (m *Meter) label() string {
	if m.failed > 0 {
		return fmt.Sprintf("%s (%d failed)", m.what, m.failed)
	}
	return m.what
}

// End stops showing progress and clears the bar away.
func (m *Meter) End() {
	m.mu.Lock()
	if m.finish != nil {
		close(m.finish)
		m.finish = nil
	}
	if m.drawn {
		fmt.Fprint(m.out, clearLine)
		m.drawn = false
	}
	m.mu.Unlock()
	m.showing.Wait()
}

// Write writes lines to where the progress is shown, above the bar.
func (m *Meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.drawn {
		return m.out.Write(p)
	}
	fmt.Fprint(m.out, clearLine)
	n, err := m.out.Write(p)
	m.draw()
	return n, err
}
