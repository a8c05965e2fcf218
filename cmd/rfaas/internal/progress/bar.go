package progress

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	// widestBar leaves room at the end of a line of 80 characters.
	widestBar = 30
	// narrowestBar shows something yet.
	narrowestBar = 8
	// spare is left free at the end of a line: the ^C that a terminal shows must not begin
	// another one.
	spare = 3
	// usualColumns are those of a terminal that does not know its own.
	usualColumns = 80
)

// Sequences of ANSI terminals: to the beginning of the line, which is cleared.
const clearLine = "\r\x1b[2K"

// columns is how wide the terminal is now.
func (m *Meter) columns() int {
	if width, _, err := term.GetSize(int(m.out.Fd())); err == nil && width > 0 {
		return width
	}
	return usualColumns
}

// draw draws the bar in place of the former one.
func (m *Meter) draw() {
	fmt.Fprint(m.out, clearLine+m.barLine(time.Since(m.began), m.columns()))
}

// barLine is the bar with what is around it, as much of it as fits into a line: a longer one
// could not be cleared away.
func (m *Meter) barLine(elapsed time.Duration, columns int) string {
	room := columns - spare
	clock := "[" + elapsed.Round(time.Second).String() + "]"
	if left, ok := m.left(elapsed); ok {
		clock = fmt.Sprintf("[%v:%v]", elapsed.Round(time.Second), left.Round(time.Second))
	}
	label := m.label() + " " + clock
	if m.total == 0 {
		return fitting(room, label, m.label(), clock)
	}
	percent, counts := fmt.Sprintf("%3d%%", 100*m.done/m.total), fmt.Sprintf("(%d/%d)", m.done, m.total)
	around := fmt.Sprintf("%s %s | | %s ", label, percent, counts)
	if width := min(widestBar, room-utf8.RuneCountInString(around)); width >= narrowestBar {
		return m.bar(label, width)
	}
	return fitting(room, fmt.Sprintf("%s %s %s", label, percent, counts), fmt.Sprintf("%s %s %s", m.label(), percent, counts), percent+" "+counts, percent)
}

// fitting is the first of some lines that has room, empty if none has.
func fitting(room int, lines ...string) string {
	for _, line := range lines {
		if utf8.RuneCountInString(line) <= room {
			return line
		}
	}
	return ""
}

// bar is a bar of so many characters, with the percentage and the counts.
func (m *Meter) bar(label string, width int) string {
	b := progressbar.NewOptions(m.total,
		progressbar.OptionSetWriter(io.Discard), // a terminal's width is known better here
		progressbar.OptionSetDescription(label),
		progressbar.OptionSetWidth(width),
		progressbar.OptionShowCount(),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
	)
	b.Set(m.done)
	return b.String()
}
