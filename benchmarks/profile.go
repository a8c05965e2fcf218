package benchmarks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/pkg/profile"
)

var profileKinds = []string{"cpu", "mem", "trace"}

// ProfileFile is where a profile of a kind goes: see Config.Profile.
func ProfileFile(kind, dir string) string { return filepath.Join(dir, profileFile[kind]) }

var profileFile = map[string]string{"cpu": "cpu.pprof", "mem": "mem.pprof", "trace": "trace.out"}

// checkProfile makes sure that the profile can be written: the library ends the
// program when it cannot.
func checkProfile(kind, dir string) error {
	if kind == "" {
		return nil
	}
	if !slices.Contains(profileKinds, kind) {
		return oneOf("profile", kind, profileKinds)
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return flagErrorf("--profile: %w", err)
		}
	}
	path := ProfileFile(kind, dir)
	_, err := os.Lstat(path)
	isNew := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return flagErrorf("--profile: %w", err)
	}
	if isNew { // nothing is left if nothing is measured
		os.Remove(path)
	}
	return f.Close()
}

// startProfile starts a profile that checkProfile accepted.
func startProfile(kind, dir string) (stop func()) {
	if dir == "" {
		dir = "."
	}
	options := []func(*profile.Profile){profile.ProfilePath(dir), profile.NoShutdownHook, profile.Quiet}
	switch kind {
	case "cpu":
		options = append(options, profile.CPUProfile)
	case "mem":
		options = append(options, profile.MemProfile, profile.MemProfileAllocs)
	case "trace":
		options = append(options, profile.TraceProfile)
	default:
		return func() {}
	}
	return profile.Start(options...).Stop
}
