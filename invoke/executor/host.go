package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// Host is what an executor process runs. Its log, of clients and of functions that crash,
// goes to the supervisor's Config.Logger.
type Host struct {
	// Runtimes are the kinds of code that it can load, by their names in
	// invoke/runtime.
	Runtimes map[string]Loader
	// Compilers are those of runtimes whose code can be compiled in advance: see
	// Supervisor.Compile.
	Compilers map[string]Compiler
	// Functions are the program's own, in Go, for the runtime "go".
	Functions map[string]invoke.Function
	// NewMeter makes the meter of an Order with a Page; the page is closed when NewMeter
	// returns. It may be nil.
	NewMeter func(page *os.File) (invoke.Meter, error)
}

// Loader makes code callable.
type Loader func(ctx context.Context, c Code) (runtime.Module, error)

// Code is the input of a Loader. The files remain the caller's, and stay open
// until the module is closed; they have paths in /proc/self/fd.
type Code struct {
	File        *os.File
	Entry       string   // of the first function, if there is one
	Compiled    *os.File // see Order; nil if there is none
	MemoryBytes int64
	TimeLimit   time.Duration
	StackBytes  int64
	Directories []Directory // by the names that the process has for them
	Folder      string      // see Assignment; likewise
	Path        string      // see Assignment; likewise
	Env         []string    // see Assignment; they are in the process's environment, too
	Arguments   []string    // see Assignment
	Warm        bool        // see Assignment
	Isolated    bool        // this process is confined, and can share no cache with others
	// Overrun is where the runtime stores, while the process crashes, the size of the
	// result buffer that a function wrote past. It lies outside the Go heap.
	Overrun *atomic.Uint64
	// Overflow is the same for the size of the stack that a function used up.
	Overflow *atomic.Uint64
}

// grace is how long a function may continue when its executor was asked to end.
const grace = time.Second

// Run executes functions for the supervisor that started this process, until the supervisor
// asks it to end or is gone. It returns only errors that the supervisor did not get. Run it
// early in main, in a process that does nothing else.
func (h *Host) Run(ctx context.Context) error {
	policy, confineErr := confine.Inherited() // first: the process may start anew here
	control, progress, err := inherited()
	if err != nil {
		return err
	}
	defer control.close()
	defer progress.close()
	if goruntime.GOMAXPROCS(0) == 1 {
		useProcessors(1)
	}
	x := &execution{host: h, control: control, progress: progress}
	defer x.close()
	switch {
	case confineErr == nil:
		x.policy = &policy
		err = x.serve(ctx)
	case errors.Is(confineErr, confine.ErrNoHost):
		err = x.serve(ctx)
	default:
		err = confineErr
	}
	if errors.Is(err, io.EOF) {
		return nil // the supervisor needs it no more
	}
	if err != nil && !x.ready && control.send(answer{Failed: err.Error()}) == nil {
		return nil // the supervisor reports it
	}
	return err
}

// useProcessors sets GOMAXPROCS for an executor that is pinned to n processors. With one,
// the polling loop would leave sockets to the runtime's monitor, which polls them every
// 10 ms: a first call would take that long.
func useProcessors(n int) { goruntime.GOMAXPROCS(max(n, 2)) }

// inherited opens the descriptors that a supervisor passes.
func inherited() (*control, *progress, error) {
	controlFile, progressFile := os.NewFile(controlFD, "control"), os.NewFile(progressFD, "progress page")
	defer controlFile.Close()
	defer progressFile.Close()
	c, err := newControl(controlFile)
	if err == nil {
		c.takesFiles = true
	}
	if err != nil {
		return nil, nil, fmt.Errorf("executor: this program is for a supervisor to start, which gives it descriptors %d and %d: %w", controlFD, progressFD, err)
	}
	p, err := mapProgress(progressFile)
	if err != nil {
		c.close()
		return nil, nil, fmt.Errorf("executor: descriptor %d: %w", progressFD, err)
	}
	return c, p, nil
}

// execution is the state of an executor process.
type execution struct {
	host     *Host
	control  *control
	progress *progress
	policy   *confine.Policy // nil if the executor is not to be confined
	ready    bool            // clients can connect
	log      *slog.Logger    // from the Setup on

	devices  []*transport.Device // of the Setup's transports
	module   runtime.Module
	files    []*os.File // the code, and the compiled code if there is any
	registry *invoke.Registry
}

// serve carries the supervisor's commands out.
func (x *execution) serve(ctx context.Context) error {
	setup, err := x.setUp()
	if err != nil {
		return err
	}
	var c command
	if x.files, err = x.control.receive(&c); err != nil {
		return err
	}
	if c.Compilation != nil {
		return x.compile(ctx, c.Compilation)
	}
	if c.Assignment == nil {
		return errors.New("an assignment was expected")
	}
	if c.Cores > 0 {
		useProcessors(c.Cores)
	}
	meter, err := x.meter(&c)
	if err != nil {
		return err
	}
	device, err := x.device(setup, c.Assignment)
	if err != nil {
		return err
	}
	if err := x.load(ctx, c.Assignment); err != nil {
		return err
	}
	worker, err := invoke.NewWorker(device, x.registry, invoke.WorkerConfig{
		Slots: c.Assignment.Slots, SlotBytes: c.Assignment.SlotBytes, MaxClients: max(c.Assignment.Clients, 1),
		CallBytes: c.Assignment.callBytes(), ClientBytes: c.Assignment.PayloadBytes, TotalBytes: c.Assignment.PayloadBytes,
		Canceled: x.canceled,
		Mode:     c.Assignment.Mode, Logger: x.log, Authorize: c.Assignment.authorize, NewMeter: meter,
	})
	if err != nil {
		return err
	}
	if err := x.control.send(answer{}); err != nil {
		worker.Close()
		return err
	}
	x.ready = true
	if limit := c.Assignment.watchLimit(); limit > 0 {
		go x.progress.watchTime(limit)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go x.serveCommands(ctx, worker, cancel)
	return worker.Serve(ctx, nil)
}

// setUp opens the devices, and then isolates the process if there is a policy.
func (x *execution) setUp() (*Setup, error) {
	var c command
	if _, err := x.control.receive(&c); err != nil {
		return nil, err
	}
	if c.Setup == nil {
		return nil, errors.New("a set-up was expected")
	}
	x.log = newLog(c.LogLevel)
	for _, url := range c.Setup.Transports {
		device, err := transport.Open(url)
		if err != nil {
			return nil, err
		}
		x.devices = append(x.devices, device)
	}
	var ready answer
	if x.policy != nil {
		report, err := confine.Enter(*x.policy)
		if err != nil {
			return nil, err
		}
		ready.Confined = &report
	}
	return c.Setup, x.control.send(ready)
}

// device is the one of the assignment's transport.
func (x *execution) device(setup *Setup, a *Assignment) (*transport.Device, error) {
	i := 0
	if a.Transport != "" {
		i = slices.Index(setup.Transports, a.Transport)
	}
	if i < 0 || i >= len(x.devices) {
		return nil, fmt.Errorf("the transport %q is not offered; there are: %s", a.Transport, strings.Join(setup.Transports, ", "))
	}
	return x.devices[i], nil
}

// meter makes the meter of all clients' calls, nil if there is none. It is made before any
// code is loaded, which could reach the page's descriptor.
func (x *execution) meter(c *command) (func(transport.Peer, []byte) invoke.Meter, error) {
	if !c.Metered || len(x.files) == 0 {
		return nil, nil
	}
	last := len(x.files) - 1
	page := x.files[last]
	x.files = x.files[:last]
	defer page.Close()
	if x.host.NewMeter == nil {
		return nil, nil
	}
	m, err := x.host.NewMeter(page)
	if err != nil {
		return nil, err
	}
	return func(transport.Peer, []byte) invoke.Meter { return m }, nil
}

// load makes the functions of an assignment callable.
func (x *execution) load(ctx context.Context, a *Assignment) error {
	x.registry = invoke.NewRegistry()
	var err error
	if x.module, err = x.open(ctx, a); err != nil {
		return err
	}
	for i, f := range a.Functions {
		call, err := x.module.Function(f.Entry)
		if err != nil {
			return fmt.Errorf("function %q: %w", f.Name, err)
		}
		if err := x.registry.Register(f.Name, x.progress.watched(i, call), invoke.Idempotent(f.Idempotent)); err != nil {
			return err
		}
	}
	return nil
}

// open loads the assignment's code with its runtime.
func (x *execution) open(ctx context.Context, a *Assignment) (runtime.Module, error) {
	if a.Runtime == runtime.Go {
		return goModule(x.host.Functions), nil
	}
	loader := x.host.Runtimes[a.Runtime]
	if loader == nil {
		return nil, fmt.Errorf("the runtime %q was not built into this program; there are: %s", a.Runtime,
			strings.Join(append(slices.Sorted(maps.Keys(x.host.Runtimes)), runtime.Go), ", "))
	}
	if len(x.files) == 0 {
		return nil, fmt.Errorf("no code came for the runtime %q", a.Runtime)
	}
	c := Code{
		File: x.files[0], MemoryBytes: a.MemoryBytes, TimeLimit: a.TimeLimit, StackBytes: a.StackBytes, Env: a.Env, Arguments: a.Arguments, Warm: a.Warm, Isolated: x.policy != nil,
		Overrun: x.progress.word(overrunAt), Overflow: x.progress.word(overflowAt),
	}
	if len(a.Functions) > 0 {
		c.Entry = a.Functions[0].Entry
	}
	if err := x.place(&c, a); err != nil {
		return nil, err
	}
	if len(x.files) > 1 {
		c.Compiled = x.files[1]
	}
	return loader(ctx, c)
}

// goModule is the module of the program's own functions.
type goModule map[string]invoke.Function

// Function implements runtime.Module.
func (m goModule) Function(entry string) (invoke.Function, error) {
	if f := m[entry]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("this program has no Go function %q; there are: %s", entry, strings.Join(slices.Sorted(maps.Keys(m)), ", "))
}

// Close implements runtime.Module.
func (m goModule) Close() error { return nil }

// serveCommands admits the clients that the supervisor passes, until the supervisor closes
// the control.
func (x *execution) serveCommands(ctx context.Context, worker *invoke.Worker, cancel context.CancelFunc) {
	for {
		var c command
		files, err := x.control.receive(&c)
		if err != nil {
			break
		}
		if c.Drain {
			go worker.Drain(ctx)
			continue
		}
		if c.Client == nil || len(files) != 1 {
			continue
		}
		stream, err := net.FileConn(files[0])
		files[0].Close()
		if err != nil {
			x.log.Error("a client's stream cannot be used", "reason", err)
			continue
		}
		go x.admit(ctx, worker, stream, c.Client.Hello)
	}
	cancel()
	time.AfterFunc(grace, func() {
		// Only a function can run forever. Closing may take long on a busy machine; the
		// supervisor has a limit of its own for that.
		if _, running, _ := x.progress.look(); running {
			os.Exit(1)
		}
	})
}

// admitTimeout bounds the set-up of a client.
const admitTimeout = 10 * time.Second

// admit makes a client of a peer that the supervisor has accepted, if it has the token.
func (x *execution) admit(ctx context.Context, worker *invoke.Worker, stream net.Conn, hello []byte) {
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	var r *transport.Request
	var err error
	if len(hello) > 0 {
		r, err = transport.Adopt(stream, hello)
	} else {
		r, err = transport.Receive(ctx, stream)
	}
	if err == nil {
		err = worker.Admit(ctx, r)
	}
	if err != nil {
		x.log.Info("client refused", "reason", err)
	}
}

// close releases what was opened.
func (x *execution) close() {
	if x.module != nil {
		x.module.Close()
	}
	for _, f := range x.files {
		f.Close()
	}
	for _, d := range x.devices {
		d.Close()
	}
}
