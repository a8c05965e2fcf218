package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rfaas-go/rfaas/benchmarks"
)

// child is a process that ends with this one at the latest.
type child struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan struct{}
	err            error // how it ended
}

// startChild starts a command. Files are its descriptors from 3 on.
func startChild(words, env []string, files ...*os.File) (*child, error) {
	c := &child{cmd: exec.Command(words[0], words[1:]...), ended: make(chan struct{})}
	c.cmd.Env, c.cmd.ExtraFiles = append(os.Environ(), env...), files
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	// A Ctrl-C on the terminal is for this process alone, which then ends the others.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	c.cmd.WaitDelay = time.Second
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the child dies with the thread that started it
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
			close(c.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// end ends the process, with those that it has started in its group.
func (c *child) end() {
	select {
	case <-c.ended: // its number may be another process's now
	default:
		syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		<-c.ended
	}
}

// wait returns what the process printed when it has ended by itself.
func (c *child) wait(ctx context.Context) (string, error) {
	select {
	case <-c.ended:
	case <-ctx.Done():
		c.end()
		return "", context.Cause(ctx)
	}
	if c.err != nil {
		return "", fmt.Errorf("%w: %s", c.err, lastLines(c.stderr.String()+c.stdout.String()))
	}
	return c.stdout.String(), nil
}

// lastLines is the end of what a process said, as one line.
func lastLines(text string) string {
	const most = 300
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = "... " + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}

// ends are the two processes of a measurement.
type ends struct {
	server, client []string
	env            []string
	listener       *os.File // handed to the server, which may be connected to at once
	port           int      // without listener: the server's, on which it is awaited
}

// endsTimeout bounds one measurement of a peer.
const endsTimeout = 2 * time.Minute

var errTimeout = fmt.Errorf("has not ended after %v", endsTimeout)

// run returns what the client printed. Both have ended then.
func (e ends) run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, endsTimeout, errTimeout)
	defer cancel()
	var files []*os.File
	if e.listener != nil {
		files = append(files, e.listener)
	}
	server, err := startChild(e.server, e.env, files...)
	if err != nil {
		return "", err
	}
	defer server.end()
	if e.listener == nil {
		if err := server.listens(ctx, e.port); err != nil {
			return "", err
		}
	}
	client, err := startChild(e.client, e.env)
	if err != nil {
		return "", err
	}
	out, err := client.wait(ctx)
	if err == nil {
		return out, nil
	}
	server.end() // then nobody writes to what it said
	if server.stderr.Len() > 0 {
		err = fmt.Errorf("%w (the server: %s)", err, lastLines(server.stderr.String()))
	}
	return "", err
}

// words are the commands of a peer's two ends, of which the server listens on a port.
type words func(port string) (server, client []string)

// run returns what the client printed.
func (w words) run(ctx context.Context, env ...string) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	server, client := w(strconv.Itoa(port))
	return ends{server: server, client: client, env: env, port: port}.run(ctx)
}

// text is the commands as they would be typed.
func (w words) text(env ...string) string {
	server, client := w("PORT")
	return benchmarks.ShellWords(append(env, server...)...) + "  and  " + benchmarks.ShellWords(append(env, client...)...)
}

// listens returns when somebody listens on a TCP port. It looks at the kernel's table: a
// connection would count as a client.
func (c *child) listens(ctx context.Context, port int) error {
	entry := fmt.Sprintf(":%04X 00000000:0000 0A", port)
	entry6 := fmt.Sprintf(":%04X 00000000000000000000000000000000:0000 0A", port)
	for {
		tcp, _ := os.ReadFile("/proc/net/tcp")
		tcp6, _ := os.ReadFile("/proc/net/tcp6")
		if strings.Contains(string(tcp), entry) || strings.Contains(string(tcp6), entry6) {
			return nil
		}
		select {
		case <-c.ended:
			return fmt.Errorf("the server ended before it listened: %w: %s", errors.Join(c.err), lastLines(c.stderr.String()+c.stdout.String()))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// freePort is a TCP port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
