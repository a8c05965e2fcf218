package transport

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Opener opens an adapter. The URL's scheme is the registered one, without
// decorators, and its query is without their parameters. An opener refuses
// parameters that it does not know.
type Opener func(u *url.URL) (Adapter, error)

// Decorator wraps an adapter; params holds those parameters of the URL that it
// was registered with.
type Decorator func(inner Adapter, params url.Values) (Adapter, error)

var registry struct {
	sync.Mutex
	openers    map[string]Opener
	decorators map[string]decorator
}

// decorator is a registered Decorator and the names of its parameters.
type decorator struct {
	decorate Decorator
	params   []string
}

func (d decorator) takes(param string) bool { return slices.Contains(d.params, param) }

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
// "faulty+shm:?seed=7". params names the URL parameters that are meant for it;
// all others go to the provider.
func RegisterDecorator(name string, decorate Decorator, params ...string) {
	registry.Lock()
	defer registry.Unlock()
	if registry.decorators == nil {
		registry.decorators = map[string]decorator{}
	}
	if _, taken := registry.decorators[name]; taken {
		panic("transport: RegisterDecorator called twice for " + name)
	}
	registry.decorators[name] = decorator{decorate, params}
}

// Schemes lists the registered providers, sorted.
func Schemes() []string {
	registry.Lock()
	defer registry.Unlock()
	return slices.Sorted(maps.Keys(registry.openers))
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
		return nil, &OpError{Op: "open", Provider: strings.TrimSuffix(rawURL, ":"), Scope: ScopeDevice, Err: err}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return fail(err)
	}
	names := strings.Split(u.Scheme, "+")
	scheme := names[len(names)-1]
	open, decorators, err := lookUp(scheme, names[:len(names)-1])
	if err != nil {
		return fail(err)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fail(err)
	}
	rest := maps.Clone(query)
	for _, d := range decorators {
		maps.DeleteFunc(rest, func(name string, _ []string) bool { return d.takes(name) })
	}
	inner := *u
	inner.Scheme, inner.RawQuery = scheme, rest.Encode()
	adapter, err := open(&inner)
	if err != nil {
		return fail(err)
	}
	for _, d := range slices.Backward(decorators) {
		params := maps.Clone(query)
		maps.DeleteFunc(params, func(name string, _ []string) bool { return !d.takes(name) })
		decorated, err := d.decorate(adapter, params)
		if err != nil {
			adapter.Close()
			return fail(err)
		}
		adapter = decorated
	}
	return NewDevice(u.Scheme, adapter), nil
}

// lookUp finds the opener and the decorators of a scheme.
func lookUp(scheme string, decorators []string) (Opener, []decorator, error) {
	registry.Lock()
	defer registry.Unlock()
	open := registry.openers[scheme]
	if open == nil {
		return nil, nil, fmt.Errorf("%w: no provider for scheme %q is built in; there are: %s (import its package, or transport/all)",
			ErrNotSupported, scheme, list(registry.openers))
	}
	var found []decorator
	for _, name := range decorators {
		d, ok := registry.decorators[name]
		if !ok {
			return nil, nil, fmt.Errorf("%w: no decorator %q is built in; there are: %s (import its package)",
				ErrNotSupported, name, list(registry.decorators))
		}
		found = append(found, d)
	}
	return open, found, nil
}

// list is a map's keys for an error text.
func list[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
