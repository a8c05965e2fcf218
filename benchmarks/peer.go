package benchmarks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// peer is the other side of a measurement, as the measuring side holds it.
type peer struct {
	network, address string
	admission        key
	process          *process      // nil if it is not a child of this process
	here             bool          // it is in this process
	ended            chan struct{} // here: closed when it has ended
	cancel           context.CancelFunc
}

// startPeer starts a peer on this machine: a process, or a goroutine for
// transports that do not leave the process.
func startPeer(ctx context.Context, files []*os.File, here bool) (*peer, error) {
	if !here && !hooked.Load() {
		return nil, errNotHooked
	}
	p := &peer{network: "unix", admission: newKey(), here: here}
	name := newKey()
	p.address = "@rfaas-bench-" + hex.EncodeToString(name[:]) // nothing in the file system
	listener, err := net.Listen(p.network, p.address)
	if err != nil {
		return nil, fmt.Errorf("a socket for the peer: %w", err)
	}
	if here {
		ctx, cancel := context.WithCancel(ctx)
		p.cancel, p.ended = cancel, make(chan struct{})
		go func() {
			hostOnce(listener, p.admission, files).serve(ctx) // its error has been told over the control stream
			close(p.ended)
		}()
		return p, nil
	}
	defer listener.Close()
	p.process, err = startProcess(listener.(*net.UnixListener), p.admission, files)
	return p, err
}

// begin opens the control stream and tells the peer what to do. onEnd is called
// when the peer is gone or failed.
func (p *peer) begin(ctx context.Context, what params, onEnd func(error)) (*control, message, error) {
	conn, err := dialStream(ctx, p.network, p.address, controlStream, p.admission)
	if err != nil {
		return nil, message{}, p.reason(err)
	}
	c := newControl(conn, func(err error) { onEnd(p.reason(err)) })
	hello, err := c.ask(ctx, message{Kind: messageStart, Params: &what}, messageHello)
	if err != nil {
		if ctx.Err() != nil { // what the peer makes of that does not matter
			err = context.Cause(ctx)
		} else {
			err = p.reason(err)
		}
		c.close()
		return nil, message{}, err
	}
	return c, hello, nil
}

// reason replaces "hung up" by how the peer's process ended, if it did.
func (p *peer) reason(err error) error {
	if _, told := errors.AsType[*peerError](err); told || p.process == nil {
		return err
	}
	if death := p.process.death(); death != nil {
		return death
	}
	return err
}

// stop ends the peer. After a failure it gets no time for it.
func (p *peer) stop(failed bool) {
	switch {
	case p.process != nil && failed:
		p.process.stop(0)
	case p.process != nil:
		p.process.stop(exitTimeout)
	case p.here:
		if failed {
			p.cancel()
		}
		<-p.ended
		p.cancel()
	}
}

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

// hooked tells whether the program can be its own peer.
var hooked atomic.Bool

// RunPeerIfAsked makes this process the peer of a measurement, and does not
// return, if that is what it was started for; otherwise it does nothing. It has
// to be the first thing in main (in TestMain, for a test binary) of a program
// that calls Run: Run starts the program again as its peer.
func RunPeerIfAsked() {
	hooked.Store(true)
	asked := os.Getenv(peerVariable)
	if asked == "" {
		return
	}
	os.Unsetenv(peerVariable)
	if err := servePeer(asked); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// errNotHooked keeps a program that is not its own peer from starting itself
// over and over.
var errNotHooked = errors.New("benchmarks: this program cannot be its own peer: call benchmarks.RunPeerIfAsked first in main")

// servePeer serves the measurement that the parent process asks for.
func servePeer(asked string) error {
	var count int
	var admission key
	name, number, _ := strings.Cut(asked, ":")
	if _, err := fmt.Sscan(number, &count); err != nil {
		return fmt.Errorf("%s=%s: %w", peerVariable, asked, err)
	}
	if err := admission.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("%s=%s: %w", peerVariable, asked, err)
	}
	// Listening again makes the kernel vouch for this process to those who
	// connect, not for the parent.
	if err := unix.Listen(listenerFD, unix.SOMAXCONN); err != nil {
		return fmt.Errorf("descriptor %d: %w", listenerFD, err)
	}
	file := os.NewFile(listenerFD, "listener")
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("descriptor %d: %w", listenerFD, err)
	}
	files := make([]*os.File, count)
	for i := range files {
		files[i] = os.NewFile(uintptr(filesFD+i), "inherited")
	}
	return hostOnce(listener, admission, files).serve(context.Background())
}
