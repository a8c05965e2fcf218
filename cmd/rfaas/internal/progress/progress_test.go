package progress

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal makes a pseudo-terminal of 80 columns. What is written to it can be
// read from screen.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { screen.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { tty.Close() })
	require.NoError(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	return screen, tty
}

// sentinel ends what is to be read from a screen.
const sentinel = "\x01"

// shown reads what was written to out since the last time: the lines above the
// last one, and that one, which is overwritten as a terminal does it.
func shown(t *testing.T, screen, out *os.File) (lines []string, last string) {
	t.Helper()
	_, err := out.WriteString(sentinel)
	require.NoError(t, err)
	var text []byte
	for !strings.HasSuffix(string(text), sentinel) {
		buf := make([]byte, 1<<12)
		n, err := screen.Read(buf)
		require.NoError(t, err)
		text = append(text, buf[:n]...)
	}
	all := strings.Split(strings.ReplaceAll(strings.TrimSuffix(string(text), sentinel), "\r\n", "\n"), "\n")
	for i, line := range all {
		all[i] = strings.TrimPrefix(line[strings.LastIndex(line, "\r")+1:], "\x1b[2K")
	}
	return all[:len(all)-1], all[len(all)-1]
}

func TestBarOnTerminal(t *testing.T) {
	t.Parallel()
	screen, tty := terminal(t)
	m := newMeter(tty, "xterm")
	m.Begin("work", 10)
	m.Step(false)
	m.Step(true)
	m.show()
	_, last := shown(t, screen, tty)
	require.Regexp(t, `^work \(1 failed\) \[0s:\d+s\]  20% \[=+>\.+\] \(2/10\)`, last)

	fmt.Fprintln(m, "a line of the log")
	lines, last := shown(t, screen, tty)
	require.Equal(t, []string{"a line of the log"}, lines)
	require.Regexp(t, `^work \(1 failed\) \[0s:\d+s\]  20% \[`, last, "the bar is drawn again below")
	require.Less(t, len(strings.TrimSpace(last)), 78, "no room for ^C")

	m.End()
	fmt.Fprintln(m, "the summary")
	lines, last = shown(t, screen, tty)
	require.Equal(t, []string{"the summary"}, lines)
	require.Empty(t, last)
}

// All steps done, and a bar with many of them, change nothing about the end.
func TestBarAtItsEnd(t *testing.T) {
	t.Parallel()
	screen, tty := terminal(t)
	m := newMeter(tty, "xterm")
	m.Begin("work", 3)
	for range 3 {
		m.Step(false)
		m.show()
	}
	m.End()
	m.End()
	fmt.Fprintln(m, "the summary")
	lines, last := shown(t, screen, tty)
	require.Equal(t, []string{"the summary"}, lines)
	require.Empty(t, last)
}

func TestLine(t *testing.T) {
	t.Parallel()
	m := &Meter{what: "work", total: 10}
	require.Equal(t, "work: 0 of 10 after 5s", m.line(5*time.Second))
	m.done = 4
	require.Equal(t, "work: 4 of 10 after 10s, about 15s left", m.line(10*time.Second))
	m.done, m.failed = 10, 2
	require.Equal(t, "work (2 failed): 10 of 10 after 15s", m.line(15*time.Second))
}

// What has no end in sight has a clock.
func TestClock(t *testing.T) {
	t.Parallel()
	m := &Meter{what: "measuring", began: time.Now()}
	require.Equal(t, "measuring: after 5s", m.line(5*time.Second))
	require.Equal(t, "measuring [5s]", m.barLine(5*time.Second, 80))
	require.Equal(t, "measuring", m.barLine(5*time.Second, 13))
	require.Equal(t, "[5s]", m.barLine(5*time.Second, 8))
	require.Empty(t, m.barLine(5*time.Second, 4))

	screen, tty := terminal(t)
	m = newMeter(tty, "xterm")
	m.Begin("one", 0)
	m.Name("another")
	_, last := shown(t, screen, tty)
	require.Equal(t, "another [0s]", last)
	m.End()
}

// Without a terminal there are lines and no control characters.
func TestLines(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	m := New(w)
	m.Begin("work", 2)
	m.Step(false)
	m.show()
	fmt.Fprintln(m, "a line of the log")
	m.End()
	lines, last := shown(t, r, w)
	require.Equal(t, []string{"work: 1 of 2 after 0s, about 0s left", "a line of the log"}, lines)
	require.Empty(t, last)
}

// What is drawn fits into a line, whatever the width of the terminal at that time: what does
// not is in two lines, of which one would remain.
func TestBarOnNarrowTerminals(t *testing.T) {
	t.Parallel()
	screen, tty := terminal(t)
	m := newMeter(tty, "xterm")
	resize := func(columns uint16) {
		require.NoError(t, unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	}
	resize(60)
	m.Begin("thumbnailer", 1000)
	defer m.End()
	for range 123 {
		m.Step(false)
	}
	for _, c := range []struct {
		columns uint16
		want    string
	}{
		{60, `^thumbnailer \[0s:\d+s\]  12% \[=+>\.+\] \(123/1000\)`},
		{40, `^thumbnailer \[0s:\d+s\]  12% \(123/1000\)$`},
		{30, `^thumbnailer  12% \(123/1000\)$`},
		{20, `^ 12% \(123/1000\)$`},
		{10, `^ 12%$`},
		{4, `^$`},
		{80, `^thumbnailer \[0s:\d+s\]  12% \[==>\.{27}\] \(123/1000\)`},
		{0, `^thumbnailer \[0s:\d+s\]  12% \[==>\.{27}\] \(123/1000\)`},
	} {
		resize(c.columns)
		m.show()
		lines, last := shown(t, screen, tty)
		require.Empty(t, lines)
		require.Regexp(t, c.want, last)
		require.True(t, c.columns == 0 || len(last) < int(c.columns), "%q in %d columns", last, c.columns)
		fmt.Fprintln(m, "a line of the log")
		lines, _ = shown(t, screen, tty)
		require.Equal(t, []string{"a line of the log"}, lines)
	}
}

// A terminal that can do nothing gets lines.
func TestDumbTerminal(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "dumb"} {
		screen, tty := terminal(t)
		m := newMeter(tty, kind)
		m.Begin("work", 2)
		m.Step(false)
		m.show()
		m.End()
		lines, last := shown(t, screen, tty)
		require.Equal(t, []string{"work: 1 of 2 after 0s, about 0s left"}, lines)
		require.Empty(t, last)
	}
}
