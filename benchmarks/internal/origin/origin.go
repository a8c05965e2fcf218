// Package origin says on what, and with what, something is measured.
package origin

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Info is a machine and a program on it.
type Info struct {
	Host, CPU, Kernel, Go string
	Cores                 int    // allowed to this process
	Commit                string // that the program was built from; empty if it does not know
}

// Look finds out.
func Look() Info {
	i := Info{CPU: runtime.GOARCH, Go: runtime.Version(), Cores: runtime.NumCPU()}
	i.Host, _ = os.Hostname()
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		i.CPU = cpuModel(string(text), i.CPU)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		i.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		i.Commit = commit(build)
	}
	return i
}

// cpuModel is the name of the first processor in /proc/cpuinfo.
func cpuModel(cpuinfo, otherwise string) string {
	for line := range strings.Lines(cpuinfo) {
		key, value, _ := strings.Cut(line, ":")
		if key = strings.TrimSpace(key); key == "model name" || key == "Model" {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

// commit is what a program was built from.
func commit(build *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range build.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	if revision != "" && settings["vcs.modified"] == "true" {
		revision += ", with changes"
	}
	return revision
}
