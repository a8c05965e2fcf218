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
// decorators, and its query holds the provider's own parameters, by their plain
// names.
type Opener func(u *url.URL) (Adapter, error)

// Decorator wraps an adapter; params holds the decorator's own parameters of the
// URL, by their plain names.
type Decorator func(inner Adapter, params url.Values) (Adapter, error)

var registry struct {
	sync.Mutex
	openers    map[string]opener
	decorators map[string]decorator
}

// opener is a registered Opener, and decorator a Decorator, with the names of its
// parameters.
type opener struct {
	open   Opener
	params []string
}

type decorator struct {
	decorate Decorator
	params   []string
}

// Register makes a provider available under a URL scheme, as database/sql does
// for drivers: providers call it from init. params names all URL parameters that
// it has; no others reach it. It panics when the scheme is taken.
func Register(scheme string, open Opener, params ...string) {
	registry.Lock()
	defer registry.Unlock()
	if registry.openers == nil {
		registry.openers = map[string]opener{}
	}
	if _, taken := registry.openers[scheme]; taken {
		panic("transport: Register called twice for scheme " + scheme)
	}
	registry.openers[scheme] = opener{open, params}
}

// RegisterDecorator makes a decorator available as a prefix of schemes:
// "faulty+shm:?seed=7". params names all URL parameters that it has; no others
// reach it. It panics when the name is taken.
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

// Decorators lists the registered decorators, sorted.
func Decorators() []string {
	registry.Lock()
	defer registry.Unlock()
	return slices.Sorted(maps.Keys(registry.decorators))
}

// Open opens a device by URL. The scheme names the provider, whose package (or
// transport/all) has to be imported; decorators may stand before it, the
// outermost first, each once: "shm:", "softroce://127.0.0.2",
// "trace+faulty+shm:?seed=7". A bare scheme ("shm") will do.
//
// A parameter goes to the one layer of the URL, decorator or provider, that knows
// it. One that several layers know is refused, unless it says whose it is:
// "faulty+softroce:?faulty.seed=7&softroce.seed=8". LAYER.name always means that
// layer's. A parameter that no layer knows is refused, too.
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
	provider, decorators, err := lookUp(scheme, names[:len(names)-1])
	if err != nil {
		return fail(err)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fail(err)
	}
	layers := make([]layer, 0, len(names))
	for i, d := range decorators {
		layers = append(layers, layer{names[i], d.params, url.Values{}})
	}
	layers = append(layers, layer{scheme, provider.params, url.Values{}})
	if err := share(query, layers); err != nil {
		return fail(err)
	}
	inner := *u
	inner.Scheme, inner.RawQuery = scheme, layers[len(decorators)].given.Encode()
	adapter, err := provider.open(&inner)
	if err != nil {
		return fail(err)
	}
	for i, d := range slices.Backward(decorators) {
		decorated, err := d.decorate(adapter, layers[i].given)
		if err != nil {
			adapter.Close()
			return fail(err)
		}
		adapter = decorated
	}
	return NewDevice(u.Scheme, adapter), nil
}

// lookUp finds the opener and the decorators of a scheme.
func lookUp(scheme string, decorators []string) (opener, []decorator, error) {
	registry.Lock()
	defer registry.Unlock()
	provider, ok := registry.openers[scheme]
	if !ok {
		return opener{}, nil, fmt.Errorf("%w: no provider for scheme %q is built in; there are: %s (import its package, or transport/all)",
			ErrNotSupported, scheme, list(registry.openers))
	}
	var found []decorator
	for i, name := range decorators {
		d, ok := registry.decorators[name]
		if !ok {
			return opener{}, nil, fmt.Errorf("%w: no decorator %q is built in; there are: %s (import its package)",
				ErrNotSupported, name, list(registry.decorators))
		}
		if slices.Contains(decorators[:i], name) {
			return opener{}, nil, fmt.Errorf("%w: the decorator %q stands in the URL twice: name each once", ErrInvalid, name)
		}
		found = append(found, d)
	}
	return provider, found, nil
}

// list is a map's keys for an error text.
func list[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
