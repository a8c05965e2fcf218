package transport

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Opener opens an adapter. The URL's scheme is the registered one, without
// decorators.
type Opener func(u *url.URL) (Adapter, error)

// Decorator wraps an adapter; params are the URL's query.
type Decorator func(inner Adapter, params url.Values) (Adapter, error)

var registry struct {
	sync.Mutex
	openers    map[string]Opener
	decorators map[string]Decorator
}

// Register makes a provider available under a URL scheme, as database/sql does
// for drivers: providers call it from init. It panics when the scheme is taken.
func Register(scheme string, open Opener) {
	registry.Lock()
	defer registry.Unlock()
	if registry.openers == nil {
		registry.openers = map[string]Opener{}
	}
	if _, taken := registry.openers[scheme]; taken {
		panic("transport: Register called twice for scheme " + scheme)
	}
	registry.openers[scheme] = open
}

// RegisterDecorator makes a decorator available as a prefix of schemes:
// "faulty+shm:?seed=7".
func RegisterDecorator(name string, decorate Decorator) {
	registry.Lock()
	defer registry.Unlock()
	if registry.decorators == nil {
		registry.decorators = map[string]Decorator{}
	}
	if _, taken := registry.decorators[name]; taken {
		panic("transport: RegisterDecorator called twice for " + name)
	}
	registry.decorators[name] = decorate
}

// Schemes lists the registered providers, sorted.
func Schemes() []string {
	registry.Lock()
	defer registry.Unlock()
	names := make([]string, 0, len(registry.openers))
	for name := range registry.openers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Open opens a device by URL. The scheme names the provider, whose package (or
// transport/all) has to be imported; decorators may stand before it, the
// outermost first: "shm:", "softroce://127.0.0.2", "trace+faulty+shm:?seed=7".
// A bare scheme ("shm") will do.
func Open(rawURL string) (*Device, error) {
	if !strings.Contains(rawURL, ":") {
		rawURL += ":"
	}
	fail := func(err error) (*Device, error) {
		return nil, &OpError{Op: "open", Provider: rawURL, Scope: ScopeDevice, Err: err}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return fail(err)
	}
	names := strings.Split(u.Scheme, "+")
	scheme := names[len(names)-1]
	registry.Lock()
	open := registry.openers[scheme]
	registry.Unlock()
	if open == nil {
		return fail(fmt.Errorf("%w: no provider for scheme %q is built in; there are: %s (import its package, or transport/all)",
			ErrNotSupported, scheme, strings.Join(Schemes(), ", ")))
	}
	inner := *u
	inner.Scheme = scheme
	adapter, err := open(&inner)
	if err != nil {
		return fail(err)
	}
	for _, name := range slices.Backward(names[:len(names)-1]) {
		registry.Lock()
		decorate := registry.decorators[name]
		registry.Unlock()
		if decorate == nil {
			adapter.Close()
			return fail(fmt.Errorf("%w: no decorator %q is built in", ErrNotSupported, name))
		}
		decorated, err := decorate(adapter, u.Query())
		if err != nil {
			adapter.Close()
			return fail(err)
		}
		adapter = decorated
	}
	return NewDevice(u.Scheme, adapter), nil
}
