package invoke_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// The test binary is its own peer: with this variable set it plays a role
// instead of running tests.
const roleVariable = "RFAAS_INVOKE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role, address, _ := strings.Cut(os.Getenv(roleVariable), " "); role {
	case "":
		os.Exit(m.Run())
	case "worker":
		exitOn(playWorker(address))
	case "client":
		exitOn(playClient(address))
	case "large-client":
		exitOn(playLargeClient(address))
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// playWorker serves at the address until it is killed.
func playWorker(address string) error {
	dev, err := transport.Open("shm:")
	if err != nil {
		return err
	}
	r := invoke.NewRegistry()
	r.Register("echo", func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil })
	r.Register("hang", func(context.Context, []byte, []byte) (int, error) {
		fmt.Println("hanging")
		select {}
	})
	w, err := invoke.NewWorker(dev, r, invoke.WorkerConfig{})
	if err != nil {
		return err
	}
	l, err := transport.Listen("unix", address)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Println("ready")
	err = w.Serve(ctx, l)
	l.Close()
	if left := dev.Inventory(); err == nil && len(left) > 0 {
		err = fmt.Errorf("left over: %v", left)
	}
	return err
}

// dialEcho connects to a worker, and says that it is ready to call echo there.
func dialEcho(address string) (*invoke.Client, *invoke.Handle, error) {
	dev, err := transport.Open("shm:")
	if err != nil {
		return nil, nil, err
	}
	c, err := invoke.Dial(context.Background(), dev, "unix", address, invoke.ClientConfig{})
	if err != nil {
		return nil, nil, err
	}
	f, err := c.Function(context.Background(), "echo")
	if err != nil {
		return nil, nil, err
	}
	fmt.Println("ready")
	return c, f, nil
}

// playClient calls echo at the address until it is killed.
func playClient(address string) error {
	c, f, err := dialEcho(address)
	if err != nil {
		return err
	}
	var futures [8]invoke.Future
	in, out := make([]byte, 1000), make([]byte, 1000)
	for {
		for i := range futures {
			if futures[i], err = c.Go(context.Background(), f, in); err != nil {
				return err
			}
		}
		for i := range futures {
			if _, err = futures[i].Wait(context.Background(), out); err != nil {
				return err
			}
		}
	}
}

// playLargeClient calls echo with payloads beyond the slots until it is killed.
func playLargeClient(address string) error {
	c, f, err := dialEcho(address)
	if err != nil {
		return err
	}
	in := make([]byte, 8<<20)
	for {
		var futures [4]invoke.Future
		for i := range futures {
			if futures[i], err = c.Go(context.Background(), f, in, invoke.CallOptions{Room: len(in)}); err != nil {
				return err
			}
		}
		for i := range futures {
			if _, err = futures[i].Wait(context.Background(), in); err != nil {
				return err
			}
		}
	}
}

// process is another process, with what it says.
type process struct {
	*exec.Cmd
	lines *bufio.Scanner
}

// play starts a process in a role and waits until it is ready.
func play(t *testing.T, role, address string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("/proc/self/exe")}
	p.Env = append(os.Environ(), roleVariable+"="+role+" "+address)
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(out)
	require.NoError(t, p.Start())
	t.Cleanup(p.kill)
	p.says(t, "ready")
	return p
}

// says waits for a line.
func (p *process) says(t *testing.T, line string) {
	t.Helper()
	require.True(t, p.lines.Scan(), "the process ended before it said %q", line)
	require.Equal(t, line, p.lines.Text())
}

// kill ends the process at once and takes its remains. Again is fine.
func (p *process) kill() {
	if p.ProcessState == nil {
		p.Process.Kill()
		p.Wait()
	}
}

// stop stops the process, and returns when all of its threads stand still.
func (p *process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Signal(syscall.SIGSTOP))
	eventually(t, "the process to stop", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.Process.Pid))
		require.NoError(t, err)
		for _, thread := range threads {
			status, err := os.ReadFile(thread)
			if err != nil || !strings.Contains(string(status), "State:\tT") {
				return false
			}
		}
		return true
	})
}

// footprint is what this process holds.
type footprint struct{ descriptors, goroutines, mappings int }

func takeFootprint(t *testing.T) footprint {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return footprint{len(entries), runtime.NumGoroutine(), len(mappings(t))}
}

// mappings lists the shared memory that this process has mapped.
func mappings(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return !strings.Contains(line, "rfaas-") })
}

// mapped waits until what two ends in this process share is mapped at both: the
// last announcements may still be under way when the first calls succeed.
func mapped(t *testing.T) {
	t.Helper()
	eventually(t, "shared memory to be mapped at both ends", func() bool {
		ends := map[string]int{} // by inode
		for _, line := range mappings(t) {
			ends[strings.Fields(line)[4]]++
		}
		for _, n := range ends {
			if n != 2 {
				return false
			}
		}
		return true
	})
}

// descriptors says what this process has open.
func descriptors() (open []string) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		target, _ := os.Readlink("/proc/self/fd/" + e.Name())
		open = append(open, e.Name()+" "+target)
	}
	return open
}

// shrinksTo waits until this process holds no more than before.
func shrinksTo(t *testing.T, before footprint) {
	t.Helper()
	var now footprint
	defer func() {
		if t.Failed() {
			t.Logf("the footprint was %+v and is %+v; descriptors: %v; mappings:\n%s", before, now, descriptors(), strings.Join(mappings(t), "\n"))
		}
	}()
	eventually(t, "the footprint to shrink", func() bool {
		now = takeFootprint(t)
		return now.descriptors <= before.descriptors && now.goroutines <= before.goroutines && now.mappings <= before.mappings
	})
}

// The tests below are not parallel: they count descriptors and goroutines.

func TestTwoProcesses(t *testing.T) {
	address := filepath.Join(t.TempDir(), "s")
	worker := play(t, "worker", address)
	dev := openDevice(t, "shm:")
	c, err := invoke.Dial(soon(t), dev, "unix", address, invoke.ClientConfig{})
	require.NoError(t, err)
	f := find(t, c, "echo")
	out := make([]byte, 1000)
	for i := range 1000 {
		in := fmt.Append(nil, "call ", i)
		n, err := c.Call(soon(t), f, in, out)
		require.NoError(t, err)
		require.Equal(t, string(in), string(out[:n]))
	}
	b, err := c.NewBuffer(10, 10)
	require.NoError(t, err)
	copy(b.In(), "zero copy")
	result, err := b.Call(soon(t), f, 9)
	require.NoError(t, err)
	require.Equal(t, "zero copy", string(result))

	require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
	receive(t, c.Done())
	require.ErrorIs(t, c.Err(), transport.ErrPeerClosed)
	require.NoError(t, c.Close())
	require.NoError(t, worker.Wait(), "the worker ended in good order, and left nothing")
}

func TestWorkerKilledDuringCalls(t *testing.T) {
	for _, mode := range []invoke.Mode{invoke.Hot, invoke.Warm, invoke.DefaultMode} {
		t.Run(mode.String(), func(t *testing.T) {
			dev := openDevice(t, "shm:")
			before := takeFootprint(t)
			address := filepath.Join(t.TempDir(), "s")
			worker := play(t, "worker", address)
			c, err := invoke.Dial(soon(t), dev, "unix", address, invoke.ClientConfig{Mode: mode, Slots: 4})
			require.NoError(t, err)
			f, echo := find(t, c, "hang"), find(t, c, "echo")
			b, err := c.NewBuffer(8, 8)
			require.NoError(t, err)
			hangs, err := c.Go(soon(t), f, nil)
			require.NoError(t, err)
			worker.says(t, "hanging")
			abandoned, err := c.Go(soon(t), echo, nil)
			require.NoError(t, err)
			require.NoError(t, abandoned.Abandon())
			require.NoError(t, b.Go(soon(t), echo, 8))

			time.AfterFunc(20*time.Millisecond, func() { worker.Process.Kill() })
			_, err = hangs.Wait(soon(t), nil)
			gone := (*invoke.GoneError)(nil)
			require.ErrorAs(t, err, &gone)
			require.ErrorIs(t, err, invoke.ErrWorkerGone)
			require.ErrorIs(t, err, transport.ErrPeerGone)
			require.Equal(t, invoke.StartedUnknown, gone.Started)
			_, err = b.Wait(soon(t))
			require.ErrorIs(t, err, invoke.ErrWorkerGone)
			_, err = c.Call(soon(t), echo, nil, nil)
			require.ErrorAs(t, err, &gone)
			require.Equal(t, invoke.StartedNo, gone.Started)
			credits, err := c.Credits()
			require.NoError(t, err)
			require.Equal(t, invoke.Credits{Free: 4}, credits)
			require.NoError(t, c.Close())
			_, err = c.Call(soon(t), echo, nil, nil)
			require.ErrorIs(t, err, invoke.ErrWorkerGone)
			require.ErrorIs(t, err, transport.ErrClosed)
			worker.kill()
			require.Empty(t, dev.Inventory())
			shrinksTo(t, before)
		})
	}
}

func TestWorkerKilledWhileIdle(t *testing.T) {
	dev := openDevice(t, "shm:")
	address := filepath.Join(t.TempDir(), "s")
	worker := play(t, "worker", address)
	c, err := invoke.Dial(soon(t), dev, "unix", address, invoke.ClientConfig{})
	require.NoError(t, err)
	find(t, c, "echo")
	worker.kill()
	receive(t, c.Done())
	require.ErrorIs(t, c.Err(), transport.ErrPeerGone)
	require.NoError(t, c.Close())
}

// TestStoppedWorker: a worker that is stopped, and goes on after the caller gave
// up, answers a call that nobody waits for.
func TestStoppedWorker(t *testing.T) {
	dev := openDevice(t, "shm:")
	address := filepath.Join(t.TempDir(), "s")
	worker := play(t, "worker", address)
	c, err := invoke.Dial(soon(t), dev, "unix", address, invoke.ClientConfig{Slots: 1})
	require.NoError(t, err)
	f := find(t, c, "echo")
	worker.stop(t)
	_, err = c.Call(within(t, 50*time.Millisecond), f, []byte("x"), make([]byte, 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = c.Go(soon(t), f, nil, invoke.CallOptions{NoWait: true})
	require.ErrorIs(t, err, invoke.ErrNoCredit)
	require.NoError(t, worker.Process.Signal(syscall.SIGCONT))
	out := make([]byte, 4)
	n, err := c.Call(soon(t), f, []byte("next"), out) // waits for the late reply
	require.NoError(t, err)
	require.Equal(t, "next", string(out[:n]))
	require.NoError(t, c.Close())
}

// TestClientsKilled: clients are killed in the middle of calls, and of rendezvous, many
// times over; the worker serves another one all the time, and nothing of them remains.
func TestClientsKilled(t *testing.T) {
	for role, pause := range map[string]time.Duration{"client": 250 * time.Microsecond, "large-client": 3 * time.Millisecond} {
		t.Run(role, func(t *testing.T) {
			effort.TwoProcesses(t)
			s := serve(t, "shm:", invoke.WorkerConfig{TotalBytes: 1 << 30})
			survivor := s.dial(t, invoke.ClientConfig{})
			f := find(t, survivor, "echo")
			alive := func() {
				_, err := survivor.Call(soon(t), f, nil, nil)
				require.NoError(t, err)
			}
			alive()
			mapped(t)
			before, inventory := takeFootprint(t), s.dev.Inventory()
			for round := range effort.Of(6, 16) {
				clients := []*process{play(t, role, s.address), play(t, role, s.address)}
				alive()
				time.Sleep(time.Duration(round) * pause) // to be killed at another point each time
				for _, c := range clients {
					c.kill()
				}
				alive()
			}
			eventually(t, "the worker to notice", func() bool { return s.worker.Stats().Clients == 1 })
			eventually(t, "their memory to be freed", func() bool { return len(s.dev.Inventory()) == len(inventory) })
			require.True(t, s.worker.ReserveMemory(1<<30), "the budget is whole")
			require.True(t, s.worker.ReserveMemory(-1<<30))
			alive()
			shrinksTo(t, before)
		})
	}
}

// TestWorkerKilledDuringLargeCalls: every call in flight fails, and its memory is
// free again.
func TestWorkerKilledDuringLargeCalls(t *testing.T) {
	effort.TwoProcesses(t)
	dev := openDevice(t, "shm:")
	before := takeFootprint(t)
	for round := range effort.Of(2, 4) {
		address := filepath.Join(t.TempDir(), "s")
		worker := play(t, "worker", address)
		c, err := invoke.Dial(soon(t), dev, "unix", address, invoke.ClientConfig{Slots: 4})
		require.NoError(t, err)
		echo := find(t, c, "echo")
		b, err := c.NewBuffer(64<<20, 64<<20)
		require.NoError(t, err)
		require.NoError(t, b.Go(soon(t), echo, len(b.In())))
		future, err := c.Go(soon(t), echo, b.In(), invoke.CallOptions{Room: 64 << 20})
		require.NoError(t, err)
		abandoned, err := c.Go(soon(t), echo, b.In()[:1<<20], invoke.CallOptions{Room: 64 << 20})
		require.NoError(t, err)
		require.NoError(t, abandoned.Abandon())
		time.Sleep(time.Duration(round) * 5 * time.Millisecond) // to be killed at another point each time
		worker.kill()
		_, err = future.Wait(soon(t), make([]byte, 64<<20))
		if err != nil { // it may have been quick
			require.ErrorIs(t, err, invoke.ErrWorkerGone)
		}
		_, err = b.Wait(soon(t))
		if err != nil {
			require.ErrorIs(t, err, invoke.ErrWorkerGone)
		}
		receive(t, c.Done())
		_, err = c.Call(soon(t), echo, b.In(), nil)
		require.ErrorIs(t, err, invoke.ErrWorkerGone)
		credits, err := c.Credits()
		require.NoError(t, err)
		require.Equal(t, invoke.Credits{Free: 4}, credits)
		require.NoError(t, b.Close())
		require.NoError(t, c.Close())
		require.Empty(t, dev.Inventory())
	}
	shrinksTo(t, before)
}
