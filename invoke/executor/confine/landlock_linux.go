//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// landlockVersion is the kernel's version of Landlock.
func landlockVersion() (int, error) {
	v, err := landlocksys.LandlockGetABIVersion()
	if err != nil {
		return 0, fmt.Errorf("the kernel has no Landlock (%w): it needs Linux 5.13 with CONFIG_SECURITY_LANDLOCK, and landlock in the boot parameter lsm=", err)
	}
	return v, nil
}

// restrictFiles leaves the process access to what libraries read, its paths and its folder
// for temporary files, as far as the kernel's version of Landlock can restrict it.
func (h *handover) restrictFiles(p *Policy, tmp string) (string, error) {
	version, err := landlockVersion()
	if err != nil {
		return "", err
	}
	own := ownFigurePaths()
	pin(own)
	pin(kernelFigures)
	var rules []landlock.Rule
	var failed error
	add := func(path string, writable, must bool) {
		info, err := os.Stat(path)
		switch {
		case err != nil && must:
			failed = errors.Join(failed, err)
		case err != nil:
		case info.IsDir() && writable: // files can be moved between folders, too
			rules = append(rules, landlock.RWDirs(path).WithRefer())
		case info.IsDir():
			rules = append(rules, landlock.RODirs(path))
		case writable:
			rules = append(rules, landlock.RWFiles(path))
		default:
			rules = append(rules, landlock.ROFiles(path))
		}
	}
	read := slices.Concat(libraryFolders, dataFolders, processors, systemSettings(), kernelFigures, own)
	if p.Programs {
		read = append(read, programFolders...)
	}
	for _, path := range read {
		add(path, false, false)
	}
	for _, path := range plainDevices {
		add(path, true, false)
	}
	if h.Namespaces { // they are the process's own
		for path := range ownFiles(0) {
			add(path, false, false)
		}
		add(sharedMemory, true, false)
	}
	if p.restarts() {
		add(ownProgram, false, true)
	}
	if p.Verbs {
		rules = append(rules,
			landlock.RODirs(verbsPaths()...).IgnoreIfMissing(),
			landlock.RWDirs(verbsDevices).WithIoctlDev().IgnoreIfMissing())
	}
	if tmp != "" {
		add(tmp, true, true)
	}
	for i, path := range p.paths() {
		add(h.visible(p, i), path.Writable, true)
	}
	if failed != nil {
		return "", failed
	}
	// The seccomp filter restricts signals. With Landlock, threads that are restricted one
	// after the other could not signal each other.
	config := landlock.V11
	config.Scoped = 0
	restrict := config.BestEffort().Restrict
	if p.restarts() {
		restrict = config.BestEffort().RestrictPaths // its sockets are not open yet; the filter allows no others
	}
	if err := restrict(rules...); err != nil {
		return "", err
	}
	return fmt.Sprintf("version %d", version), nil
}

// verbsPaths are verbsFolders and the folders of the devices.
func verbsPaths() []string {
	paths := slices.Clone(verbsFolders)
	for _, folder := range verbsFolders[1:] {
		entries, _ := filepath.Glob(filepath.Join(folder, "*"))
		for _, entry := range entries {
			for _, link := range []string{entry, filepath.Join(entry, "device")} {
				target, err := filepath.EvalSymlinks(link)
				if err != nil {
					continue
				}
				if info, err := os.Stat(target); err == nil && info.IsDir() {
					paths = append(paths, target)
				}
			}
		}
	}
	return paths
}
