package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// Function is a function to be called in executors, processes of its own.
type Function struct {
	Label string // its name in results
	// Order is what it is and what it is loaded from: its Assignment has one
	// function. Slots and the core are the measurement's to choose.
	Order executor.Order
	// Executors is how its executors are started and confined. Setup and Spares are
	// the measurement's to choose.
	Executors executor.Config
}

// runtime is the kind of code that it is.
func (f *Function) runtime() string { return f.Order.Assignment.Runtime }

// order is what an executor is told that runs it on a core.
func (f *Function) order(p params, core int) executor.Order {
	o := f.Order
	o.Cores = executor.On(core)
	a := &o.Assignment
	size := p.SizeBytes
	a.Slots, a.SlotBytes, a.Clients, a.Mode = 1, invokeSlotBytes(size), 1, invokeMode(p.Mode)
	if size > a.SlotBytes { // then the input and the room for the result go beside it
		const page = 4096
		a.PayloadBytes = 2 * int64((size+page-1)/page*page)
	}
	return o
}

// checkFunctions checks what a configuration has of functions.
func (t *test) checkFunctions(c Config) error {
	switch {
	case len(c.Functions) == 0 && t.needsFunctions():
		return flagErrorf("--function: %s needs one", t.name)
	case len(c.Functions) > 0 && !t.takesFunctions():
		return flagErrorf("--function: %s calls none; those that do: %s", t.name, strings.Join(testsOfFunctions(), ", "))
	case len(c.Functions) > 0 && c.Connect != "":
		return flagErrorf("--connect: functions are measured on this machine only")
	}
	for _, f := range c.Functions {
		if n := len(f.Order.Assignment.Functions); n != 1 {
			return fmt.Errorf("benchmarks: the order of %s has %d functions instead of one", f.Label, n)
		}
	}
	return nil
}

func testsOfFunctions() []string {
	var names []string
	for _, t := range table {
		if t.takesFunctions() {
			names = append(names, t.name)
		}
	}
	return names
}

// supervise makes a supervisor of the function's executors. Some are kept ready.
func (f *Function) supervise(p params, spares int) (*executor.Supervisor, error) {
	c := f.Executors
	c.Setup, c.Spares = executor.Setup{Transports: []string{p.Transport}}, spares
	return executor.New(c)
}

// openForExecutors opens the device to measure, if other processes can be reached
// with it.
func (r *runner) openForExecutors() (*transport.Device, error) {
	d, err := r.open()
	if err != nil {
		return nil, err
	}
	if !d.Capabilities().Features.Has(transport.FeatureCrossProcess) {
		d.Close()
		return nil, flagErrorf("--transport: %s does not leave the process, and functions run in processes of their own; choose another one", d.Name())
	}
	return d, nil
}

// callee is a function in an executor, and the connection to it.
type callee struct {
	executor *executor.Executor
	client   *invoke.Client
	function *invoke.Handle
	in, out  []byte
}

// begin has the supervisor start an executor, connects to it and calls the
// function once. The caller is to end what it returns.
func begin(ctx context.Context, d *transport.Device, s *executor.Supervisor, o executor.Order, p params) (c *callee, took steps, err error) {
	slot := o.Assignment.SlotBytes
	c = &callee{in: make([]byte, p.SizeBytes), out: make([]byte, max(p.SizeBytes, slot))}
	t0 := clock()
	if c.executor, err = s.Start(ctx, o); err != nil {
		return nil, took, err
	}
	t1 := clock()
	if err = c.connect(ctx, d, o, p); err != nil {
		return nil, took, c.abort(err)
	}
	t2 := clock()
	if _, err = c.client.Call(ctx, c.function, c.in, c.out); err != nil {
		return nil, took, c.abort(err)
	}
	return c, steps{start: t1 - t0, connect: t2 - t1, call: clock() - t2}, nil
}

func (c *callee) connect(ctx context.Context, d *transport.Device, o executor.Order, p params) (err error) {
	c.client, err = c.executor.Dial(ctx, d, invoke.ClientConfig{
		Slots: 1, SlotBytes: o.Assignment.SlotBytes, Mode: invokeMode(p.Mode),
	})
	if err == nil {
		c.function, err = c.client.Function(ctx, o.Assignment.Functions[0].Name)
	}
	return err
}

// run makes n calls one after the other.
func (c *callee) run(ctx context.Context, n int, out *samples) error {
	for range n {
		start := clock()
		if _, err := c.client.Call(ctx, c.function, c.in, c.out); err != nil {
			return err
		}
		out.add(clock() - start)
	}
	return nil
}

// abort ends what has failed, and replaces the error by how the executor ended if
// that is the reason.
func (c *callee) abort(err error) error {
	if errors.Is(err, invoke.ErrWorkerGone) || c.client == nil {
		patience, cancel := context.WithTimeout(context.Background(), explainTimeout)
		defer cancel()
		select {
		case <-c.executor.Ended():
			fate, _ := c.executor.Fate()
			err = fmt.Errorf("executor (process %d): %v", c.executor.PID(), fate)
		case <-patience.Done():
		}
	}
	return errors.Join(err, c.end(0))
}

// endGrace is how long an executor may take to end by itself.
const endGrace = 2 * time.Second

// end closes the connection and ends the executor.
func (c *callee) end(grace time.Duration) (err error) {
	if c.client != nil {
		err = c.client.Close()
	}
	c.executor.Stop(grace)
	return err
}

// ofFunction is the beginning of a function's result.
func ofFunction(f *Function, d *transport.Device, p params) Result {
	return Result{
		Test: p.Test, Transport: d.Name(), Mode: p.Mode, SizeBytes: p.SizeBytes, Iterations: p.Iterations,
		Function: f.Label, Runtime: f.runtime(),
	}
}

// isWasm tells whether a function is compiled when it is loaded.
func (f *Function) isWasm() bool { return f.runtime() == runtime.Wasm }

// program is the function as an agent has it, with files of its own.
func (f *Function) program() (*agent.Program, error) {
	a := &f.Order.Assignment
	p := &agent.Program{
		Runtime: a.Runtime, Functions: a.Functions, MemoryBytes: a.MemoryBytes, TimeLimit: a.TimeLimit, Directories: a.Directories,
		Trusted: f.Executors.Confine == nil,
	}
	var err error
	if p.Code, err = duplicate(f.Order.Code); err != nil {
		return nil, err
	}
	if p.Compiled, err = duplicate(f.Order.Compiled); err != nil {
		closeFiles(programFiles(p))
		return nil, err
	}
	return p, nil
}

func programFiles(p *agent.Program) []*os.File {
	return slices.DeleteFunc([]*os.File{p.Code, p.Compiled}, func(f *os.File) bool { return f == nil })
}

// duplicate is another descriptor of a file, which may be nil.
func duplicate(f *os.File) (*os.File, error) {
	if f == nil {
		return nil, nil
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: another descriptor: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
