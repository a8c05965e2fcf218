//go:build amd64 || arm64

package confine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// What programs and libraries read of the system, on any distribution. Whether each is
// given, and why, is in docs/SECURITY.md.
var (
	libraryFolders = []string{"/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local/lib", "/usr/local/lib64", "/nix/store", "/gnu/store"}
	programFolders = []string{"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin"}
	dataFolders    = []string{"/usr/share", "/usr/local/share"}
	processors     = []string{"/sys/devices/system/cpu", "/sys/devices/system/node"}

	// Patterns of settings that are not about this machine, its users or its network: of
	// the loader, fonts, and languages.
	settings = []string{
		"/etc/ld.so.cache", localTime, "/etc/timezone", "/etc/alternatives", "/etc/fonts", "/etc/locale.alias", "/etc/magic", "/etc/mime.types",
		"/etc/python3*", "/etc/perl", "/etc/R", "/etc/java*", "/etc/octave*", "/etc/OpenCL", "/etc/ImageMagick*", "/etc/gdal", "/etc/protocols", "/etc/services",
	}

	plainDevices  = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
	kernelFigures = []string{
		"/proc/cpuinfo", "/proc/meminfo", "/proc/version", "/proc/filesystems", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/version",
		"/proc/sys/kernel/cap_last_cap", "/proc/sys/kernel/ngroups_max", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/random/uuid",
		"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/max_map_count",
	}
	// Of the process itself. Not all: net and mountinfo are about the machine.
	ownFigures = []string{
		"auxv", "cgroup", "cmdline", "comm", "environ", "exe", "io", "limits", "maps", "oom_score", "smaps", "smaps_rollup", "stat", "statm", "status",
	}
	ownFigureFolders = []string{"fd", "fdinfo"}

	// Where libibverbs looks for devices; links lead from there.
	verbsFolders = []string{"/etc/libibverbs.d", "/sys/class/infiniband", "/sys/class/infiniband_verbs"}
)

const (
	verbsDevices = "/dev/infiniband"
	sharedMemory = "/dev/shm"
	localTime    = "/etc/localtime"
	// ownProgram is the program of this process.
	ownProgram = "/proc/self/exe"
)

// systemFolders are the folders that are mounted into a process's own root directory, or
// copied if they are links.
func systemFolders(p *Policy) []string {
	folders := []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"}
	if p.Verbs {
		return append(folders, "/sys", verbsFolders[0])
	}
	return append(folders, processors...)
}

// systemSettings are the settings that exist.
func systemSettings() []string {
	var found []string
	for _, pattern := range settings {
		paths, _ := filepath.Glob(pattern) // the patterns are well-formed
		found = append(found, paths...)
	}
	return found
}

// ownFiles are files with what libraries ask about users and names, for a root directory of
// the process's own: without the machine's.
func ownFiles(uid int) map[string]string {
	return map[string]string{
		"/etc/passwd":        fmt.Sprintf("root:x:0:0:root:/:/bin/false\nrfaas:x:%d:%d:rfaas:%s:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", uid, uid, tmpFolder),
		"/etc/group":         fmt.Sprintf("root:x:0:\nrfaas:x:%d:\nnogroup:x:65534:\n", uid),
		"/etc/hosts":         "127.0.0.1 localhost\n::1 localhost\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
	}
}

// FolderName is where a process with namespaces sees Policy.Folder.
const FolderName = "/package"

const tmpFolder = "/tmp"

// folderLibraries is where the dynamic loader looks for libraries in a process with a folder:
// in its working directory, and in lib there. That is the root directory until Enter, since
// the loader does not look in a folder again that was not there when the program started. So
// nothing in the folder is loaded before the process is confined.
const folderLibraries = "/proc/self/cwd:/proc/self/cwd/lib"

// loaderEnv are the variables for the dynamic loader.
func (p *Policy) loaderEnv() []string {
	env := slices.DeleteFunc(slices.Clone(p.Env), func(v string) bool { return !ForLoader(v) })
	if p.Folder == "" {
		return env
	}
	const name = "LD_LIBRARY_PATH="
	for i, v := range env {
		if strings.HasPrefix(v, name) {
			env[i] += ":" + folderLibraries
			return env
		}
	}
	return append(env, name+folderLibraries)
}

// reserved are the folders of a root directory that nothing can be mounted over, and those
// nothing can be mounted in.
var (
	reserved       = []string{"/", "/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/gnu", "/sbin", "/sys", tmpFolder, "/usr", "/var", FolderName}
	reservedWithin = []string{"/proc", "/dev", "/sys"}
)

func (p *Path) guest() string {
	if p.Guest == "" {
		return filepath.Clean(p.Host)
	}
	return filepath.Clean(p.Guest)
}

// attributes are those of the path's mount.
func (p *Path) attributes() uint64 {
	if p.Writable {
		return unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	}
	return unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_RDONLY
}

// check says what is wrong with a path for a root directory of the process's own.
func (p *Path) check() error {
	switch at := p.guest(); {
	case !filepath.IsAbs(p.Host) || !filepath.IsAbs(at):
		return fmt.Errorf("%q as %q: both must be absolute", p.Host, at)
	case p.Guest == "" && slices.Contains(reserved, at):
		return fmt.Errorf("%s: give folders in it, not all of it", at)
	case slices.Contains(reserved, at) && !p.folder, slices.ContainsFunc(reservedWithin, func(dir string) bool { return within(at, dir) }):
		return fmt.Errorf("%s as %s: that is the place of the system's; choose another, such as /data", p.Host, at)
	}
	return nil
}

// paths are the policy's paths, its folder last.
func (p *Policy) paths() []Path {
	if p.Folder == "" {
		return p.Paths
	}
	return append(slices.Clip(p.Paths), Path{Host: p.Folder, Guest: FolderName, Anywhere: true, folder: true})
}

// restarts reports whether Inherited restarts the program.
func (p *Policy) restarts() bool { return p.Verbs || slices.ContainsFunc(p.Env, ForLoader) }

// ForLoader reports whether a variable of the environment is for the dynamic loader, which
// reads it when a program starts.
func ForLoader(variable string) bool { return strings.HasPrefix(variable, "LD_") }

// pin opens files of /proc without rights: a rule of Landlock is about a file as long as the
// kernel does not forget it.
func pin(paths []string) {
	for _, path := range paths {
		if f, err := os.OpenFile(path, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
			pinned = append(pinned, f)
		}
	}
}

var pinned []*os.File
