package transporttest

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
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
	last     handle
	objects  map[handle]any
}

// handle names an object at one end. 0 is none.
type handle int

func newAgent() *agent {
	// The Go runtime opens descriptors of its own with the first socket, and keeps
	// them: have it do so before any are counted.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	return &agent{objects: map[handle]any{}}
}

// put enters an object.
func (a *agent) put(object any) handle {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.objects[a.last] = object
	return a.last
}

// get finds an object.
func get[T any](a *agent, h handle) (T, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	object, ok := a.objects[h].(T)
	if !ok {
		return object, fmt.Errorf("there is no %T with the handle %d", object, h)
	}
	return object, nil
}

// find is get for a handle that may be 0.
func find[T any](a *agent, h handle) (object T, err error) {
	if h == 0 {
		return object, nil
	}
	return get[T](a, h)
}

// all returns the objects of a type, in the order in which they were made.
func all[T any](a *agent) []T {
	a.mu.Lock()
	defer a.mu.Unlock()
	var handles []handle
	for h, object := range a.objects {
		if _, ok := object.(T); ok {
			handles = append(handles, h)
		}
	}
	slices.Sort(handles)
	objects := make([]T, len(handles))
	for i, h := range handles {
		objects[i] = a.objects[h].(T)
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
	dev, err := transport.Open(args.URL)
	if err != nil {
		return transport.Capabilities{}, err
	}
	a.mu.Lock()
	a.dev, a.patience, a.faults = dev, args.Patience, args.Faults
	a.mu.Unlock()
	return dev.Capabilities(), nil
})

// closeEverything closes what the test made and left open, in the order that
// the interface asks for, then the device. It returns what the device says is
// still open before it is closed: leaks.
var closeEverything = define("close everything", func(a *agent, _ none) ([]string, error) {
	var errs []error
	note := func(err error) {
		if err != nil && !errors.Is(err, transport.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, s := range all[*stopSign](a) {
		s.raise()
	}
	for _, l := range all[*transport.Listener](a) {
		note(l.Close())
	}
	for _, c := range all[*transport.Conn](a) {
		note(c.Close())
	}
	for _, s := range all[*transport.SharedReceive](a) {
		note(s.Close())
	}
	for _, q := range all[*transport.Queue](a) {
		note(q.Close())
	}
	for _, r := range all[*transport.Region](a) {
		note(r.Close())
	}
	for _, d := range all[*transport.ProtectionDomain](a) {
		note(d.Close())
	}
	a.mu.Lock()
	dev := a.dev
	a.dev, a.objects = nil, map[handle]any{}
	a.mu.Unlock()
	if dev == nil {
		return nil, errors.Join(errs...)
	}
	left := dev.Inventory()
	note(dev.Close())
	return left, errors.Join(errs...)
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
type stopSign struct {
	once sync.Once
	ch   chan struct{}
}

func (s *stopSign) raise() { s.once.Do(func() { close(s.ch) }) }

// raised is false for a nil sign.
func (s *stopSign) raised() bool {
	if s == nil {
		return false
	}
	select {
	case <-s.ch:
		return true
	default:
		return false
	}
}

var newStopSign = define("new stop sign", func(a *agent, _ none) (handle, error) {
	return a.put(&stopSign{ch: make(chan struct{})}), nil
})

var raiseStopSign = define("raise stop sign", func(a *agent, h handle) (none, error) {
	s, err := get[*stopSign](a, h)
	if err == nil {
		s.raise()
	}
	return false, err
})
