//go:build amd64 || arm64

package confine

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mount is a line of /proc/self/mountinfo.
type mount struct {
	root, point, fstype string
	options             []string // of the file system
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func parseMounts(text string) []mount {
	var list []mount
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 6 || len(r) < 3 {
			continue
		}
		list = append(list, mount{unescape.Replace(l[3]), unescape.Replace(l[4]), r[0], strings.Split(r[2], ",")})
	}
	return list
}

func mounts() ([]mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("reading the mounts: %w", err)
	}
	return parseMounts(string(text)), nil
}

// procMasked is the first mount that hides a part of /proc, as container engines make them.
// With one, the kernel forbids mounting /proc in a new user namespace.
func procMasked(list []mount) string {
	for _, m := range list {
		if strings.HasPrefix(m.point, "/proc/") && m.point != "/proc/sys/fs/binfmt_misc" {
			return m.point
		}
	}
	return ""
}

// within reports whether path is folder or below it.
func within(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
