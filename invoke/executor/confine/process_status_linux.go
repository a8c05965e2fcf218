//go:build amd64 || arm64

package confine

import (
	"strconv"
	"strings"
)

// statusOf reads the real user id and the state out of /proc/PID/status; the id is
// -1 if there is none.
func statusOf(text string) (uid int, state string) {
	uid = -1
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "State:":
			state = fields[1]
		case "Uid:":
			if n, err := strconv.Atoi(fields[1]); err == nil {
				uid = n
			}
		}
	}
	return uid, state
}
