package transport_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

// opened is what the openers and decorators of these tests were given.
type opened struct {
	transport.Adapter
	log    []string
	closed bool
}

func (o *opened) Close() error {
	o.closed = true
	return o.Adapter.Close()
}

// last is the adapter of the last opentest URL. The tests here are not parallel.
var last *opened

var errOpen = errors.New("no such thing")

func init() {
	transport.Register("opentest", func(u *url.URL) (transport.Adapter, error) {
		if u.Query().Has("fail") {
			return nil, errOpen
		}
		last = &opened{Adapter: loopback.New(), log: []string{u.String()}}
		return last, nil
	}, "own", "fail", "all")
	for _, name := range []string{"outer", "inner"} {
		transport.RegisterDecorator(name, func(a transport.Adapter, params url.Values) (transport.Adapter, error) {
			last.log = append(last.log, fmt.Sprintf("%s %s", name, params.Encode()))
			if params.Get("bad") == name {
				return nil, errOpen
			}
			return a, nil
		}, name, "both", "all", "bad")
	}
}

// TestOpenGivesEachItsParameters: each goes to the layer that has it or that it
// names, without that name; innermost first.
func TestOpenGivesEachItsParameters(t *testing.T) {
	dev, err := transport.Open("outer+inner+opentest://host/path?inner=1&outer=2&inner.both=3&own=4&own=5&outer.all=6&opentest.all=7&opentest.own=8")
	require.NoError(t, err)
	require.Equal(t, "outer+inner+opentest", dev.Name())
	require.Equal(t, []string{"opentest://host/path?all=7&own=8&own=4&own=5", "inner both=3&inner=1", "outer all=6&outer=2"}, last.log)
	require.NoError(t, dev.Close())
	require.True(t, last.closed)

	dev, err = transport.Open("inner+opentest:?both=1")
	require.NoError(t, err)
	require.Equal(t, []string{"opentest:", "inner both=1"}, last.log)
	require.NoError(t, dev.Close())
}

func TestOpenBareScheme(t *testing.T) {
	dev, err := transport.Open("opentest")
	require.NoError(t, err)
	require.Equal(t, []string{"opentest:"}, last.log)
	require.NoError(t, dev.Close())
	require.Contains(t, transport.Schemes(), "opentest")
}

func TestOpenErrors(t *testing.T) {
	for _, c := range []struct {
		url  string
		is   error
		text string
	}{
		{"nothing:", transport.ErrNotSupported, `transport: nothing: open: not supported: no provider for scheme "nothing" is built in; there are: loopback, opentest (import its package, or transport/all)`},
		{"", nil, "missing protocol scheme"},
		{"opentest://%zz", nil, "invalid URL escape"},
		{"opentest:?a=%zz", nil, "invalid URL escape"},
		{"other+opentest:", transport.ErrNotSupported, `no decorator "other" is built in; there are: inner, outer`},
		{"opentest:?fail=1", errOpen, "transport: opentest:?fail=1: open: no such thing"},
		{"outer+opentest:?outer.bad=outer", errOpen, "open: no such thing"},
		{"loopback:x", transport.ErrInvalid, `"loopback:x" says more than loopback understands`},
		{"loopback:?size=3", transport.ErrInvalid, "parameter size is known to no layer of the URL: loopback has none"},
		{"inner+opentest:?size=3", transport.ErrInvalid, "parameter size is known to no layer of the URL: inner has all, bad, both, inner; opentest has all, fail, own"},
		{"inner+opentest:?inner.own=3", transport.ErrInvalid, "parameter inner.own is known to no layer of the URL: inner has"},
		{"inner+opentest:?outer.all=3", transport.ErrInvalid, "parameter outer.all is known to no layer of the URL: inner has"},
		{"inner+opentest:?all=3", transport.ErrInvalid, "parameter all is known to inner and to opentest: say whose it is, as in inner.all=..."},
		{"outer+inner+opentest:?all=3", transport.ErrInvalid, "parameter all is known to outer and to inner and to opentest: say whose it is, as in outer.all=..."},
		{"inner+outer+inner+opentest:", transport.ErrInvalid, `the decorator "inner" stands in the URL twice: name each once`},
	} {
		_, err := transport.Open(c.url)
		require.Error(t, err, c.url)
		if c.is != nil {
			require.ErrorIs(t, err, c.is, c.url)
		}
		require.ErrorContains(t, err, c.text, c.url)
		var op *transport.OpError
		require.ErrorAs(t, err, &op)
		require.Equal(t, transport.ScopeDevice, op.Scope)
	}
}

// TestOpenClosesWhatADecoratorRefuses: the adapter that was open by then.
func TestOpenClosesWhatADecoratorRefuses(t *testing.T) {
	_, err := transport.Open("outer+inner+opentest:?outer.bad=outer")
	require.ErrorIs(t, err, errOpen)
	require.True(t, last.closed)
}

func TestRegisterTwicePanics(t *testing.T) {
	require.Panics(t, func() { transport.Register("opentest", nil) })
	require.Panics(t, func() { transport.RegisterDecorator("outer", nil) })
}
