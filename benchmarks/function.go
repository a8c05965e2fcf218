package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
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
		return flagErrorf("--function: %s calls none; those that do: %s", t.name, namesOf((*test).takesFunctions))
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

// subject is a function that is measured, and its result.
type subject struct {
	*Function
	device *transport.Device
	params params
	result Result
}

func newSubject(r *runner, f *Function, d *transport.Device, p params) subject {
	result := p.result(r.name())
	result.Function, result.Runtime = f.Label, f.runtime()
	return subject{f, d, p, result}
}

// failed is why a function was not measured: the context, if it has ended.
func (f *Function) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", f.Label, err)
}

// caller calls one function of a client's.
type caller struct {
	client   *invoke.Client
	function *invoke.Handle
	in, out  []byte
}

// caller is for calls of the subject, once find has a client to make them.
func (s *subject) caller() caller {
	size := s.params.SizeBytes
	return caller{in: make([]byte, size), out: make([]byte, max(size, invokeSlotBytes(size)))}
}

// find looks the subject up at the client's worker.
func (c *caller) find(ctx context.Context, s *subject, client *invoke.Client) (err error) {
	c.client = client
	c.function, err = client.Function(ctx, s.Order.Assignment.Functions[0].Name)
	return err
}

// run makes n calls one after the other.
func (c *caller) run(ctx context.Context, n int, out *samples) error {
	for range n {
		start := clock()
		if err := c.call(ctx); err != nil {
			return err
		}
		out.add(clock() - start)
	}
	return nil
}

func (c *caller) call(ctx context.Context) error {
	_, err := c.client.Call(ctx, c.function, c.in, c.out)
	return err
}

// clientConfig is for clients of the subject's workers.
func (s *subject) clientConfig() invoke.ClientConfig {
	return invoke.ClientConfig{Slots: 1, SlotBytes: invokeSlotBytes(s.params.SizeBytes), Mode: invokeMode(s.params.Mode)}
}

// callee is a function in an executor, and the connection to it.
type callee struct {
	caller
	executor *executor.Executor
}

// begin has the supervisor start an executor, connects to it and calls the
// function once. The caller is to end what it returns.
func (s *subject) begin(ctx context.Context, supervisor *executor.Supervisor, o executor.Order) (c *callee, took steps, err error) {
	c = &callee{caller: s.caller()}
	t0 := clock()
	if c.executor, err = supervisor.Start(ctx, o); err != nil {
		return nil, took, err
	}
	t1 := clock()
	client, err := c.executor.Dial(ctx, s.device, s.clientConfig())
	if err == nil {
		err = c.find(ctx, s, client)
	}
	if err != nil {
		return nil, took, c.abort(err)
	}
	t2 := clock()
	if err = c.call(ctx); err != nil {
		return nil, took, c.abort(err)
	}
	return c, steps{start: t1 - t0, connect: t2 - t1, call: clock() - t2}, nil
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
