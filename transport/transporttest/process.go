package transporttest

import (
	"fmt"
	"net/rpc"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

// peerVariable is set in the environment of a peer process.
const peerVariable = "RFAAS_TRANSPORTTEST_PEER"

// Main is what TestMain of a package that uses Run has to call. In a peer
// process it serves the suite's commands and exits; otherwise it runs the tests
// and exits.
func Main(m *testing.M) {
	if os.Getenv(peerVariable) == "" {
		os.Exit(m.Run())
	}
	conn := stdio{os.Stdin, os.Stdout}
	os.Stdout = os.Stderr // whatever else prints must not disturb the replies
	serve(newAgent(), conn)
	os.Exit(0)
}

// process is a peer process and the way to talk to it.
type process struct {
	client  *rpc.Client
	timeout time.Duration // of a command
	cmd     *exec.Cmd
	pid     int // of the process that executes the commands
	exited  chan struct{}
	ended   error // how, once exited; nil if it was in good order
	doomed  bool  // its end is part of the test
}

// callMargin is how much longer than the suite's patience the answer to a
// command may take before the peer process counts as hung.
const callMargin = 3

var getPID = define("pid", func(*agent, none) (int, error) { return os.Getpid(), nil })

// startProcess starts a peer process.
func startProcess(prefix []string, patience time.Duration) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	line := append(slices.Clone(prefix), self)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), peerVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start peer process: %w", err)
	}
	p := &process{client: rpc.NewClient(stdio{out, in}), timeout: callMargin * patience, cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.ended = cmd.Wait()
		p.client.Close()
		close(p.exited)
	}()
	p.pid, err = getPID.on(&end{process: p}, false)
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("peer process (does TestMain call transporttest.Main?): %w", err)
	}
	return p, nil
}

// signal sends a signal to the process that executes the commands.
func (p *process) signal(s syscall.Signal) error { return syscall.Kill(p.pid, s) }

// kill ends the process as kill -9 does, and returns when it is gone.
func (p *process) kill() {
	p.doomed = true
	if p.pid != 0 && p.pid != p.cmd.Process.Pid {
		p.signal(syscall.SIGKILL)
	} else {
		p.cmd.Process.Kill()
	}
	<-p.exited
}

// alive reports whether the process still runs.
func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}
