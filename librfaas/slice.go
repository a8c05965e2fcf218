package main

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// slice is how long a thread of the library computes before others may: the least that there is.
const slice = 100_000 // ns

// A program's own threads compute on all of their processors, and what they wait for has then to be done beside
// them. Since Linux 6.6 a thread that wakes up waits until the one that runs has used up its slice, of
// some milliseconds, but for one whose own is shorter, which is heard since 6.12. Threads inherit it; so
// it is told to those that the runtime has begun with, which are younger than this one.
func init() {
	first := unix.Gettid()
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if id, err := strconv.Atoi(task.Name()); err == nil && id >= first {
			attr, err := unix.SchedGetAttr(id, 0)
			if err == nil && attr.Policy == unix.SCHED_NORMAL {
				attr.Runtime = slice
				_ = unix.SchedSetAttr(id, attr, 0) // it was only to be faster
			}
		}
	}
}
