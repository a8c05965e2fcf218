package benchmarks

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is the peer as a child of this process: the running program again.
type process struct {
	pid    int
	kill   func() error
	exited chan struct{} // closed when it was reaped
	state  error         // how it ended; set before exited is closed
	stderr *opening
}

// peerVariable tells a child that it is a peer: its value is the key that the
// listener admits.
const peerVariable = "RFAAS_BENCHMARK_PEER"

// What a child inherits.
const (
	listenerFD = 3
	filesFD    = 4 // and up: test.inherit
)

// startProcess starts the peer. It gets the listener and the files; the caller's
// own descriptors of them stay open.
func startProcess(listener *net.UnixListener, admission key, files []*os.File) (*process, error) {
	inherited, err := listener.File()
	if err != nil {
		return nil, err
	}
	defer inherited.Close()
	name, _ := admission.MarshalText()
	p := &process{exited: make(chan struct{}), stderr: &opening{}}
	cmd := exec.Command("/proc/self/exe", "peer of a benchmark")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d", peerVariable, name, len(files)))
	cmd.ExtraFiles = append([]*os.File{inherited}, files...)
	cmd.Stderr = p.stderr
	// The child dies with the thread that started it, at the latest; a Ctrl-C on
	// the terminal is for the measuring process alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread must live as long as the child
		err := cmd.Start()
		started <- err
		if err == nil {
			p.state = cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting the peer process: %w", err)
	}
	p.pid, p.kill = cmd.Process.Pid, cmd.Process.Kill
	return p, nil
}

// exitTimeout is how long a peer may take to end by itself.
const exitTimeout = 2 * time.Second

// stop gives the process a moment to end, kills it otherwise, and reaps it.
func (p *process) stop(grace time.Duration) {
	select {
	case <-p.exited:
		return
	case <-time.After(grace):
	}
	p.kill() // an error means that it has just ended
	<-p.exited
}

// death says how the process ended, if it did so within a moment.
func (p *process) death() error {
	select {
	case <-p.exited:
	case <-time.After(explainTimeout / 2):
		return nil
	}
	how := "exit status 0"
	if p.state != nil {
		how = p.state.Error()
	}
	if said := p.stderr.String(); said != "" {
		how += "; it said: " + said
	}
	return fmt.Errorf("the peer (process %d) ended during the measurement: %s", p.pid, how)
}

// opening keeps the beginning and drops the rest of what a process writes: a panic
// says what is wrong in its first lines.
type opening struct {
	mu   sync.Mutex
	text []byte
}

const openingBytes = 2048

func (t *opening) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := openingBytes - len(t.text)
	t.text = append(t.text, b[:min(len(b), room)]...)
	return len(b), nil
}

func (t *opening) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
