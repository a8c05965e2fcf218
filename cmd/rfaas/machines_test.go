package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

// machine is a network namespace with a shell in it. All machines of a test are at one
// switch, and share a home folder, in which the shells begin.
type machine struct {
	name, address string

	t          *testing.T
	shell      *exec.Cmd
	stdin      io.Writer
	transcript *transcript
	network    string // its link
	done       int    // blocks
}

// newMachines makes them; the first one has the switch. They are gone when the test ends,
// and all processes in them.
func newMachines(t *testing.T, home string, of []machine) map[string]*machine {
	t.Helper()
	missing := ""
	if os.Getuid() != 0 {
		missing = "root, who can make network namespaces"
	}
	for _, tool := range []string{"ip", "taskset", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = tool
		}
	}
	if missing != "" && os.Getenv("CI") == "true" {
		t.Fatal("it needs " + missing)
	} else if missing != "" {
		t.Skip("it needs " + missing)
	}
	bin := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(bin+"/rfaas", fmt.Appendf(nil, "#!/bin/sh\nexec env %s=1 %s \"$@\"\n", asProgram, self), 0o755))
	all := map[string]*machine{}
	for i := range of {
		m := &of[i]
		m.t = t
		m.start(home, bin)
		all[m.name] = m
	}
	first := &of[0]
	first.do("ip link set lo up && ip link add switch type bridge && ip address add " + first.address + "/24 dev switch && ip link set switch up")
	for i := range of[1:] {
		m := &of[1+i]
		first.do(fmt.Sprintf("ip link add port%d type veth peer name net netns %d && ip link set port%[1]d master switch up", i, m.shell.Process.Pid))
		m.do("ip link set lo up && ip address add " + m.address + "/24 dev net && ip link set net up")
	}
	return all
}

func (m *machine) start(home, bin string) {
	t := m.t
	m.transcript = &transcript{}
	cores, err := executor.AllowedCores()
	require.NoError(t, err)
	var few []string // however many this machine has
	for _, core := range cores[:min(2, len(cores))] {
		few = append(few, strconv.Itoa(core))
	}
	m.shell = exec.Command("taskset", "--cpu-list", strings.Join(few, ","), "bash", "--norc")
	m.shell.Dir = home
	m.shell.Env = []string{"HOME=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "LC_ALL=C"}
	m.shell.Stdout, m.shell.Stderr = m.transcript, m.transcript
	m.shell.WaitDelay = programTimeout
	m.shell.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	m.stdin, err = m.shell.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, m.shell.Start())
	// If the test is killed, the shell's input ends, and so do its jobs.
	_, err = fmt.Fprintln(m.stdin, "trap 'kill -KILL $(jobs -p)' EXIT")
	require.NoError(t, err)
	m.network, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/net", m.shell.Process.Pid))
	require.NoError(t, err)
	t.Cleanup(func() {
		for range 100 { // what one starts while it is looked at, the next look finds
			all := m.processes()
			if len(all) == 0 {
				break
			}
			for _, pid := range all {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			time.Sleep(10 * time.Millisecond)
		}
		m.shell.Process.Kill()
		m.shell.Wait()
	})
}

// processes are those in the machine, but for its shell, and for this one, which dials
// from there.
func (m *machine) processes() (found []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, entry := range entries {
		pid, _ := strconv.Atoi(strings.Split(entry, "/")[2])
		if network, _ := os.Readlink(entry); network == m.network && pid != m.shell.Process.Pid && pid != os.Getpid() {
			found = append(found, pid)
		}
	}
	return found
}

// do has the shell carry out commands, of which the last one has to succeed, and returns
// what was printed meanwhile.
func (m *machine) do(commands string) string {
	m.t.Helper()
	m.done++
	before := len(m.transcript.String())
	_, err := fmt.Fprintf(m.stdin, "%s\necho \"[%d: $?]\"\n", strings.TrimSuffix(commands, "\n"), m.done)
	require.NoError(m.t, err)
	ended := regexp.MustCompile(fmt.Sprintf(`\[%d: (\d+)\]\n`, m.done))
	var at []int
	var said string
	require.True(m.t, eventually(programTimeout, func() bool {
		said = m.transcript.String()[before:]
		at = ended.FindStringSubmatchIndex(said)
		return at != nil
	}), "%s: %s%s", m.name, commands, said)
	require.Equal(m.t, "0", said[at[2]:at[3]], "%s: %s%s", m.name, commands, said)
	return said[:at[0]]
}

// said waits until something was printed.
func (m *machine) said(pattern string) {
	m.t.Helper()
	require.True(m.t, eventually(programTimeout, func() bool {
		return regexp.MustCompile(pattern).MatchString(m.transcript.String())
	}), "%s: %s", m.name, m.transcript)
}

// jobs are the processes of the shell's background jobs.
func (m *machine) jobs() []string {
	m.t.Helper()
	return strings.Fields(m.do("jobs -p"))
}

// dial connects from within the machine.
func (m *machine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	dialed := make(chan result)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.shell.Process.Pid))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			dialed <- result{nil, err}
			return
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		dialed <- result{conn, err}
	}()
	r := <-dialed
	return r.conn, r.err
}

// leaseWatch is a log of the leases that nodes had, by the test's own clock.
type leaseWatch struct {
	mu    sync.Mutex
	spans map[string]*leaseSpan
}

// leaseSpan is when a lease was seen first and last, and when it was not yet and no more.
type leaseSpan struct {
	cores                       int
	notYet, first, last, noMore time.Time
}

const leaseWatchEvery = 20 * time.Millisecond

// watchLeases asks the agents of n1, n2 and n3 as their owner, until the test ends.
func watchLeases(t *testing.T, machines map[string]*machine, dir string) *leaseWatch {
	t.Helper()
	w := &leaseWatch{spans: map[string]*leaseSpan{}}
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM([]byte(read(t, dir, "ca.crt"))))
	token := strings.TrimSpace(read(t, dir, "olga.token"))
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	t.Cleanup(func() { cancel(); watching.Wait() })
	for _, name := range []string{"n1", "n2", "n3"} {
		client := &http.Client{Transport: &http.Transport{DialContext: machines["desk"].dial, TLSClientConfig: &tls.Config{RootCAs: roots}}}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+machines[name].address+":7472/v1/leases", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		watching.Go(func() {
			defer client.CloseIdleConnections()
			last := time.Now()
			for ctx.Err() == nil {
				asked := time.Now()
				if answer, err := client.Do(request); err == nil {
					var list struct{ Leases []agent.LeaseInfo }
					if json.NewDecoder(answer.Body).Decode(&list) == nil {
						w.saw(name, list.Leases, last, asked.Add(time.Since(asked)/2))
					}
					answer.Body.Close()
				}
				last = asked
				time.Sleep(leaseWatchEvery)
			}
		})
	}
	return w
}

func (w *leaseWatch) saw(node string, leases []agent.LeaseInfo, before, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := map[string]bool{}
	for _, l := range leases {
		key := node + " " + l.ID
		there[key] = true
		s := w.spans[key]
		if s == nil {
			s = &leaseSpan{cores: l.Cores, notYet: before, first: now}
			w.spans[key] = s
		}
		s.last = now
	}
	for key, s := range w.spans {
		if strings.HasPrefix(key, node+" ") && !there[key] && s.noMore.IsZero() {
			s.noMore = now
		}
	}
}

// over says that there were leases, and are none any more.
func (w *leaseWatch) over() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.spans {
		if s.noMore.IsZero() {
			return false
		}
	}
	return len(w.spans) > 0
}

// coreTime is that of all leases that are over: from the middle between not seen and seen.
func (w *leaseWatch) coreTime() (sum time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.spans {
		seen := s.last.Sub(s.first) + s.first.Sub(s.notYet)/2 + s.noMore.Sub(s.last)/2
		sum += time.Duration(s.cores) * seen
	}
	return sum
}
