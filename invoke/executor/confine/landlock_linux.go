//go:build amd64 || arm64

package confine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// What loading a shared object needs, on any distribution.
var (
	libraryFolders = []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/nix/store"}
	libraryFiles   = []string{"/etc/ld.so.cache", "/dev/urandom"}
	// Where libibverbs looks for devices; links lead from there.
	verbsFolders = []string{"/etc/libibverbs.d", "/sys/class/infiniband", "/sys/class/infiniband_verbs"}
	plainDevices = []string{"/dev/null", "/dev/zero", "/dev/full"}
)

// ownProgram is the program of this process.
const ownProgram = "/proc/self/exe"

// landlockVersion is the kernel's version of Landlock.
func landlockVersion() (int, error) {
	v, err := landlocksys.LandlockGetABIVersion()
	if err != nil {
		return 0, fmt.Errorf("the kernel has no Landlock (%w): it needs Linux 5.13 with CONFIG_SECURITY_LANDLOCK, and landlock in the boot parameter lsm=", err)
	}
	return v, nil
}

// restrictFiles leaves the process access to the libraries, its paths and its folder for
// temporary files, as far as the kernel's version of Landlock can restrict it.
func restrictFiles(p *Policy, tmp string) (string, error) {
	version, err := landlockVersion()
	if err != nil {
		return "", err
	}
	rules := []landlock.Rule{
		landlock.RODirs(libraryFolders...).IgnoreIfMissing(),
		landlock.ROFiles(libraryFiles...).IgnoreIfMissing(),
		landlock.RWFiles(plainDevices...).IgnoreIfMissing(),
	}
	if p.Verbs {
		rules = append(rules,
			landlock.ROFiles(ownProgram),
			landlock.RODirs(verbsPaths()...).IgnoreIfMissing(),
			landlock.RWDirs("/dev/infiniband").WithIoctlDev().IgnoreIfMissing())
	}
	add := func(paths []string, folders, files func(...string) landlock.FSRule) error {
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if info.IsDir() {
				rules = append(rules, folders(path))
			} else {
				rules = append(rules, files(path))
			}
		}
		return nil
	}
	if err := add(p.ReadPaths, landlock.RODirs, landlock.ROFiles); err != nil {
		return "", err
	}
	write := p.WritePaths
	if tmp != "" {
		write = append([]string{tmp}, write...)
	}
	// Files can be moved between folders, too.
	folders := func(paths ...string) landlock.FSRule { return landlock.RWDirs(paths...).WithRefer() }
	if err := add(write, folders, landlock.RWFiles); err != nil {
		return "", err
	}
	// The seccomp filter restricts signals. With Landlock, threads that are restricted one
	// after the other could not signal each other.
	config := landlock.V11
	config.Scoped = 0
	restrict := config.BestEffort().Restrict
	if p.Verbs {
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
