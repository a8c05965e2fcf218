//go:build cgo

package main

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// slice is how long a thread of the library computes before others may: the least that there is.
const slice = 100_000 // ns

// A program's own threads compute on all of their processors, and what they wait for has then to be done beside
// them. Since Linux 6.6 a thread that wakes up waits until the one that runs has used up its slice, of
// some milliseconds, but for one whose own is shorter, which is heard since 6.12. Threads inherit it; so
// it is told to those that the runtime has begun with: this one, and those that began after it.
func init() {
	mine := began(unix.Gettid())
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil || id == unix.Getpid() || began(id) < mine {
			continue
		}
		if attr, err := unix.SchedGetAttr(id, 0); err == nil && attr.Policy == unix.SCHED_NORMAL {
			attr.Runtime = slice
			_ = unix.SchedSetAttr(id, attr, 0) // it was only to be faster
		}
	}
}

// began is when a thread began, in ticks of the system's; -1 if that cannot be told.
func began(thread int) int {
	stat, _ := os.ReadFile("/proc/self/task/" + strconv.Itoa(thread) + "/stat")
	_, after, _ := strings.Cut(string(stat), ") ") // what is before can be anything
	if fields := strings.Fields(after); len(fields) > 19 {
		if ticks, err := strconv.Atoi(fields[19]); err == nil {
			return ticks
		}
	}
	return -1
}
