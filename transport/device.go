package transport

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Device is an opened transport endpoint, from which everything else is made.
// Its methods may be called from anywhere.
type Device struct {
	name    string
	adapter Adapter
	caps    Capabilities
	nextID  atomic.Uint32

	mu      sync.Mutex
	closed  bool
	objects map[object]origin // everything open that was made from the device

	life    context.Context // ends when the device is closed
	endLife context.CancelCauseFunc
	making  sync.WaitGroup // objects that are being made, and not yet among objects
}

// object is what a Device keeps track of.
type object interface {
	describe() string
	// closeRank orders Device.Close: lower first.
	closeRank() int
	Close() error
}

const (
	rankConn = iota
	rankShared
	rankQueue
	rankRegion
	rankDomain
)

// origin is where an object was made, for leak reports.
type origin [8]uintptr

// NewDevice makes a device of an adapter. Programs use Open.
func NewDevice(name string, adapter Adapter) *Device {
	d := &Device{name: name, adapter: adapter, caps: adapter.Capabilities(), objects: map[object]origin{}}
	d.life, d.endLife = context.WithCancelCause(context.Background())
	return d
}

// Name is the provider's scheme, decorators included.
func (d *Device) Name() string { return d.name }

// Capabilities returns what the device can do. The Notes must not be modified.
func (d *Device) Capabilities() Capabilities { return d.caps }

// Adapter is the provider's side of the device, for methods that only the
// provider has.
func (d *Device) Adapter() Adapter { return d.adapter }

// Close closes everything that was made from the device (connections, queues,
// regions, protection domains), and the device. Everything outstanding is dropped; a
// connection that is being set up fails with ErrClosed. It does not wait for memory
// that is held (Region.Hold). It must not be called from an Authorize hook.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.endLife(ErrClosed)
	d.making.Wait()
	d.mu.Lock()
	open := make([]object, 0, len(d.objects))
	for o := range d.objects {
		open = append(open, o)
	}
	d.mu.Unlock()
	slices.SortStableFunc(open, func(a, b object) int { return a.closeRank() - b.closeRank() })
	var errs []error
	for _, o := range open {
		errs = append(errs, o.Close())
	}
	return errors.Join(append(errs, d.adapter.Close())...)
}

// Inventory lists what was made from the device and is still open, a line each,
// with the file and line that made it; for leak reports.
func (d *Device) Inventory() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lines []string
	for o, at := range d.objects {
		lines = append(lines, o.describe()+", made "+at.String())
	}
	slices.Sort(lines)
	return lines
}

// begin keeps the device from closing while something is made from it, until
// end. It fails when the device is closed.
func (d *Device) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	d.making.Add(1)
	return nil
}

func (d *Device) end() { d.making.Done() }

// beginSetUp is begin for a connection that is being set up, which ends early,
// with its context, when the device is closed.
func (d *Device) beginSetUp(ctx context.Context) (bounded context.Context, end func(), err error) {
	if err := d.begin(); err != nil {
		return nil, nil, err
	}
	bounded, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(d.life, func() { cancel(context.Cause(d.life)) })
	return bounded, func() {
		stop()
		cancel(nil)
		d.end()
	}, nil
}

// track adds an object to those of the device, between begin and end.
func (d *Device) track(o object) {
	var at origin
	runtime.Callers(3, at[:])
	d.mu.Lock()
	d.objects[o] = at
	d.mu.Unlock()
}

// untrack removes an object, when nothing of it is left at the provider.
func (d *Device) untrack(o object) {
	d.mu.Lock()
	delete(d.objects, o)
	d.mu.Unlock()
}

// quiesce returns when every post and poll in progress at the call has
// returned.
func (d *Device) quiesce() {
	d.mu.Lock()
	var owners []*Owner
	for o := range d.objects {
		switch o := o.(type) {
		case *Conn:
			owners = append(owners, &o.sending, &o.receiving)
		case *Queue:
			owners = append(owners, &o.owner)
		case *SharedReceive:
			owners = append(owners, &o.receiving)
		}
	}
	d.mu.Unlock()
	for _, o := range owners {
		o.Quiesce()
	}
}

func (d *Device) opError(op string, scope Scope, err error) error {
	return &OpError{Op: op, Provider: d.name, Scope: scope, Err: err}
}

// String is the innermost frame outside this package.
func (o origin) String() string {
	frames := runtime.CallersFrames(o[:])
	const own = "github.com/rfaas-go/rfaas/transport."
	for {
		f, more := frames.Next()
		if f.PC != 0 && (len(f.Function) < len(own) || f.Function[:len(own)] != own) {
			return fmt.Sprintf("at %s:%d", f.File, f.Line)
		}
		if !more {
			return "somewhere unknown"
		}
	}
}
