package transporttest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// agent executes commands at one end. It holds the end's device and what the
// test made of it, under handles, so that a test can name them from afar. Its
// methods may be called from anywhere.
type agent struct {
	mu       sync.Mutex
	dev      *transport.Device
	patience time.Duration
	faults   Faults
	objects  []any // nil once a later test has begun
}

// handle names an object at one end: its place in objects, from 1. 0 is none.
type handle int

func newAgent() *agent {
	// The Go runtime opens descriptors of its own with the first socket, and keeps
	// them: have it do so before any are counted.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	return new(agent)
}

// put enters an object.
func (a *agent) put(object any) handle {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.objects = append(a.objects, object)
	return handle(len(a.objects))
}

// get finds an object. Without it the command ends.
func get[T any](a *agent, h handle) T {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h < 1 || int(h) > len(a.objects) {
		check(fmt.Errorf("there is no handle %d", h))
	}
	object, ok := a.objects[h-1].(T)
	if !ok {
		check(fmt.Errorf("there is no %T with the handle %d", object, h))
	}
	return object
}

// find is get for a handle that may be 0.
func find[T any](a *agent, h handle) (object T) {
	if h == 0 {
		return object
	}
	return get[T](a, h)
}

// all returns the objects of a type, in the order in which they were made.
func all[T any](a *agent) (objects []T) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, object := range a.objects {
		if object, ok := object.(T); ok {
			objects = append(objects, object)
		}
	}
	return objects
}

type openArgs struct {
	URL      string
	Patience time.Duration
	Faults   Faults
}

// openDevice opens the end's device for a test.
var openDevice = define("open device", func(a *agent, args openArgs) (transport.Capabilities, error) {
	dev := must(transport.Open(args.URL))
	a.mu.Lock()
	a.dev, a.patience, a.faults = dev, args.Patience, args.Faults
	a.mu.Unlock()
	return dev.Capabilities(), nil
})

// closeEverything closes what the test made and left open, in the order that
// the interface asks for, then the device. It returns what the device says is
// still open before it is closed: leaks.
var closeEverything = define("close everything", func(a *agent, _ none) ([]string, error) {
	for _, s := range all[*stopSign](a) {
		s.raise()
	}
	errs := slices.Concat(
		closeAll[*transport.Listener](a),
		closeAll[*transport.Conn](a),
		closeAll[*transport.SharedReceive](a),
		closeAll[*transport.Queue](a),
		closeAll[*transport.Region](a),
		closeAll[*transport.ProtectionDomain](a),
	)
	a.mu.Lock()
	dev := a.dev
	a.dev = nil
	clear(a.objects)
	a.mu.Unlock()
	if dev == nil {
		return nil, errors.Join(errs...)
	}
	left := dev.Inventory()
	if err := dev.Close(); !errors.Is(err, transport.ErrClosed) {
		errs = append(errs, err)
	}
	return left, errors.Join(errs...)
})

// closeAll closes the objects of a type that are still open.
func closeAll[T io.Closer](a *agent) (errs []error) {
	for _, object := range all[T](a) {
		if err := object.Close(); !errors.Is(err, transport.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errs
}

// closeObject closes an object, which can still be named afterwards.
var closeObject = action("close", func(a *agent, h handle) {
	object := get[io.Closer](a, h)
	if err := object.Close(); err != nil {
		check(fmt.Errorf("%T: %w", object, err))
	}
})

// describe describes the state of the end, for the report of a failure.
var describe = define("describe", func(a *agent, _ none) ([]string, error) {
	var lines []string
	for _, c := range all[*transport.Conn](a) {
		state := "in order"
		if err := c.Err(); err != nil {
			state = err.Error()
		}
		lines = append(lines, fmt.Sprintf("connection %d: %s", c.ID(), state))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dev != nil {
		lines = append(lines, a.dev.Inventory()...)
	}
	const most = 20
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("and %d more objects", more))
	}
	return lines, nil
})

// stopSign tells a loop that runs at an end to finish.
type stopSign struct{ up atomic.Bool }

func (s *stopSign) raise() { s.up.Store(true) }

// raised is false for a nil sign.
func (s *stopSign) raised() bool { return s != nil && s.up.Load() }

var newStopSign = define("new stop sign", func(a *agent, _ none) (handle, error) {
	return a.put(new(stopSign)), nil
})

var raiseStopSign = action("raise stop sign", func(a *agent, h handle) {
	get[*stopSign](a, h).raise()
})
