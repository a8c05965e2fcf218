package benchmarks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// sparePause is longer than an agent usually takes to have a spare executor again.
const sparePause = 150 * time.Millisecond

// onceWithSpare uses a lease whose worker was a spare executor. The agent does not say
// whether it has one, so it is looked at afterwards whether there was.
func (u *usedLeases) onceWithSpare(ctx context.Context) (took steps, err error) {
	deadline := time.Now().Add(spareTimeout)
	for pause := sparePause; ; pause *= 2 {
		select {
		case <-ctx.Done():
			return took, context.Cause(ctx)
		case <-time.After(pause):
		}
		asked, err := ticksNow()
		if err != nil {
			return took, err
		}
		took, err = u.once(ctx)
		switch {
		case err != nil || u.born < asked:
			return took, err
		case time.Now().After(deadline):
			return took, fmt.Errorf("no spare executor was ready within %v; the log says why (--log-level warn)", spareTimeout)
		}
	}
}

// tick is the unit in which Linux tells when a process started.
const tick = 10 * time.Millisecond

// ticksNow is the time since the machine started.
func ticksNow() (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0, fmt.Errorf("reading the clock: %w", err)
	}
	return t.Nano() / int64(tick), nil
}

// bornOf is when a process started, in ticks since the machine did.
func bornOf(pid int) (int64, error) {
	const field = 22 - 3 // of those after the name of the program, which may have spaces
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= field {
		return 0, fmt.Errorf("/proc/%d/stat: %q", pid, stat)
	}
	return strconv.ParseInt(string(fields[field]), 10, 64)
}
