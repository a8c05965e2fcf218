//go:build amd64 || arm64

package confine

import (
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// What loading a shared object needs, on any distribution.
var (
	libraryFolders = []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/nix/store"}
	libraryFiles   = []string{"/etc/ld.so.cache", "/dev/urandom"}
	plainDevices   = []string{"/dev/null", "/dev/zero", "/dev/full"}
)

// landlockVersion is the kernel's, or an error.
func landlockVersion() (int, error) {
	v, err := landlocksys.LandlockGetABIVersion()
	if err != nil {
		return 0, fmt.Errorf("the kernel has no Landlock (%w): it needs Linux 5.13 with CONFIG_SECURITY_LANDLOCK, and landlock in the boot parameter lsm=", err)
	}
	return v, nil
}

// restrictFiles leaves the process the libraries, its paths and its folder for
// temporary files. A kernel's Landlock restricts what its version knows.
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
	// From one folder to another, too, files can be moved.
	folders := func(paths ...string) landlock.FSRule { return landlock.RWDirs(paths...).WithRefer() }
	if err := add(write, folders, landlock.RWFiles); err != nil {
		return "", err
	}
	// Signals are the filter's matter: threads that are restricted one after the other
	// could not signal each other.
	config := landlock.V11
	config.Scoped = 0
	if err := config.BestEffort().Restrict(rules...); err != nil {
		return "", err
	}
	return fmt.Sprintf("version %d", version), nil
}
