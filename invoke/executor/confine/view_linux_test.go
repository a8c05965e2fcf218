//go:build amd64 || arm64

package confine

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// sight is what a process of scenario view has seen.
type sight struct {
	Folder, Work string
	Read         map[string]string // contents, or the error's name
	Written      map[string]string // the error's name, or "allowed"
	Loader       string            // LD_LIBRARY_PATH
	Ran          map[string]string // output of programs
}

// view reads and writes what its arguments name, and runs programs.
func view() error {
	policy := must(Inherited())
	s := sight{Loader: os.Getenv("LD_LIBRARY_PATH"), Read: map[string]string{}, Written: map[string]string{}, Ran: map[string]string{}}
	must(Enter(policy))
	s.Folder, s.Work = Where(policy.Folder), must(os.Getwd())
	for _, path := range strings.Fields(os.Getenv("VIEW_READ")) {
		text, err := os.ReadFile(strings.Replace(path, "FOLDER", s.Folder, 1))
		if s.Read[path] = string(text); err != nil {
			s.Read[path] = name(err)
		}
	}
	for _, path := range strings.Fields(os.Getenv("VIEW_WRITE")) {
		s.Written[path] = name(os.WriteFile(path, []byte("written"), 0o600))
	}
	if os.Getenv("VIEW_RUN") != "" {
		text, err := exec.Command("/bin/sh", "-c", "echo one two | cat; kill -TERM $$").CombinedOutput()
		s.Ran["shell"] = string(text) + " " + err.Error()
		connect := exec.Command(os.Getenv("VIEW_RUN"))
		connect.Env = append(os.Environ(), scenarioName+"=connect")
		text, err = connect.CombinedOutput()
		s.Ran["connect"] = string(text)
		if err != nil {
			s.Ran["connect"] += err.Error()
		}
	}
	return tell(s)
}

// connect says why it cannot, nor make a namespace.
func connect() error {
	_, err := net.Dial("tcp", "127.0.0.1:9")
	fmt.Print(name(err), " ", raw(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD)))
	return nil
}

func see(t *testing.T, h *Host, p Policy) (s sight) {
	t.Helper()
	r := launch(t, h, "view", p)
	text := must(io.ReadAll(r.out))
	require.True(t, r.end(t).Success(), "%v %s %s", r.cmd.ProcessState, r.errs, text)
	require.NoError(t, json.Unmarshal(text, &s), "%s", text)
	return s
}

// TestView: the folder, and paths by their own and by other names.
func TestView(t *testing.T) {
	ways(t, func(t *testing.T, h *Host, p Policy) {
		top := must(os.MkdirTemp("", "confine-view"))
		t.Cleanup(func() { os.RemoveAll(top) })
		if !isRoot() {
			require.NoError(t, os.Chmod(top, 0o700))
		}
		folder, data, out := filepath.Join(top, "closed", "folder"), filepath.Join(top, "data"), filepath.Join(top, "out")
		for _, dir := range []string{folder, data, out} {
			require.NoError(t, os.MkdirAll(dir, 0o777))
			require.NoError(t, os.Chmod(dir, 0o777))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte(filepath.Base(dir)), 0o644))
		}
		require.NoError(t, os.Chmod(top, 0o755))
		require.NoError(t, os.Chmod(filepath.Dir(folder), 0o700)) // nobody else gets to the folder
		namespaces := p.Without == nil
		guest := ""
		if namespaces {
			guest = "/models"
		}
		p.Folder = folder
		p.Paths = []Path{{Host: data, Guest: guest}, {Host: out, Writable: true}}
		seen := data
		if namespaces {
			seen = guest
		}
		p.Env = []string{
			"LD_LIBRARY_PATH=" + data,
			"VIEW_READ=file FOLDER/file " + seen + "/file " + out + "/file /etc/hostname /proc/self/comm",
			"VIEW_WRITE=new " + seen + "/new " + out + "/new /dev/shm/new",
		}
		s := see(t, h, p)
		if namespaces {
			require.Equal(t, FolderName, s.Folder)
			require.Equal(t, FolderName, s.Work)
			require.Equal(t, "allowed", s.Written["/dev/shm/new"])
			require.Equal(t, "ENOENT", s.Read["/etc/hostname"])
		}
		require.Equal(t, "folder", s.Read["file"])
		require.Equal(t, "folder", s.Read["FOLDER/file"])
		require.Equal(t, "data", s.Read[seen+"/file"])
		require.Equal(t, "out", s.Read[out+"/file"])
		require.NotEqual(t, "EACCES", s.Read["/proc/self/comm"])
		for _, path := range []string{"new", seen + "/new"} {
			require.Contains(t, []string{"EACCES", "EROFS"}, s.Written[path], path)
		}
		require.Equal(t, "allowed", s.Written[out+"/new"])
		require.FileExists(t, filepath.Join(out, "new"))
		require.Equal(t, data+":"+folderLibraries, s.Loader)
	})
}

// TestViewRefused: paths that a process cannot have.
func TestViewRefused(t *testing.T) {
	refused := func(t *testing.T, h *Host, p Policy, said string) {
		t.Helper()
		r := launch(t, h, "enter", p)
		require.False(t, r.end(t).Success())
		require.Contains(t, r.errs.String(), said)
	}
	ways(t, func(t *testing.T, h *Host, p Policy) {
		if p.Without != nil {
			p.Paths = []Path{{Host: "/usr/share", Guest: "/data"}}
			refused(t, h, p, "only a process with namespaces of its own can have another name for a path")
			p.Paths, p.Programs = nil, true
			refused(t, h, p, "to start programs takes namespaces")
			return
		}
		for guest, said := range map[string]string{
			"/usr":       "that is the place of the system's",
			"/package":   "that is the place of the system's",
			"/proc/data": "that is the place of the system's",
			"data":       "both must be absolute",
		} {
			p.Paths = []Path{{Host: "/usr/share", Guest: guest}}
			refused(t, h, p, said)
		}
		p.Paths = []Path{{Host: "/etc"}}
		refused(t, h, p, "give folders in it")
	})
	h := newHost(t)
	p := policyFor(h)
	p.Folder = "/does/not/exist"
	cmd := exec.Command("/proc/self/exe")
	process, err := h.Prepare(cmd, p)
	if isRoot() {
		require.ErrorContains(t, err, "/does/not/exist: no such file or directory")
	} else { // the process finds out
		must(process.Close())
	}
}

// TestPrograms: what a process starts is confined as it is itself.
func TestPrograms(t *testing.T) {
	h := newHost(t)
	needNamespaces(t, h)
	p := policyFor(h)
	p.Programs = true
	own := filepath.Join(must(os.MkdirTemp("", "confine-programs")), "program")
	defer os.RemoveAll(filepath.Dir(own))
	require.NoError(t, os.Chmod(filepath.Dir(own), 0o755))
	require.NoError(t, os.WriteFile(own, must(os.ReadFile("/proc/self/exe")), 0o755))
	p.Paths = []Path{{Host: own}}
	p.Env = []string{"VIEW_RUN=" + own}
	s := see(t, h, p)
	require.Equal(t, map[string]string{"shell": "one two\n signal: terminated", "connect": "EPERM EPERM"}, s.Ran)
}
