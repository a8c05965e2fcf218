// Package album is a small service as a program would have it: photographs by name, at
// any number of workers, for any number of goroutines.
package album

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/typed"
	"github.com/rfaas-go/rfaas/transport"
)

// MaxBytes is the longest photograph that Get returns.
const MaxBytes = 16 << 20

// ErrNoPhoto means that there is no photograph of that name.
var ErrNoPhoto = errors.New("album: no such photograph")

const codeNoPhoto = 1 // stands for it between worker and caller

var (
	put  = typed.New(typed.Bytes(), typed.Bytes())
	get  = typed.New(typed.Bytes(), typed.Bytes())
	find = typed.New(typed.Bytes(), typed.JSON[[]string]())
)

// Store is where photographs are.
type Store struct{ names sync.Map }

// Serve has a worker answer for the store until ctx ends. It ends in good order: what runs is
// finished, and callers go elsewhere.
func (s *Store) Serve(ctx context.Context, device *transport.Device, listener *transport.Listener) error {
	functions := invoke.NewRegistry()
	worker, err := invoke.NewWorker(device, functions, invoke.WorkerConfig{Mode: invoke.Warm})
	if err != nil {
		return err
	}
	if err := errors.Join(
		functions.Register("put", put.Function(s.put), invoke.Idempotent(true)),
		functions.Register("get", get.Function(s.get), invoke.Idempotent(true)),
		functions.Register("find", find.Function(s.find), invoke.Idempotent(true)),
	); err != nil {
		return errors.Join(err, worker.Close())
	}
	defer context.AfterFunc(ctx, func() { worker.Shutdown(context.Background()) })()
	return worker.Serve(context.WithoutCancel(ctx), listener)
}

func (s *Store) put(ctx context.Context, photo []byte) ([]byte, error) {
	s.names.Store(invoke.MetadataOf(ctx)["name"], photo)
	return nil, nil
}

func (s *Store) get(_ context.Context, name []byte) ([]byte, error) {
	photo, ok := s.names.Load(string(name))
	if !ok {
		return nil, &invoke.FunctionError{Code: codeNoPhoto, Message: fmt.Sprintf("no photograph %q", name)}
	}
	return photo.([]byte), nil
}

// find looks through all photographs, and looks up now and then whether anybody still
// wants to know.
func (s *Store) find(ctx context.Context, what []byte) (names []string, err error) {
	s.names.Range(func(name, photo any) bool {
		if bytes.Contains(photo.([]byte), what) {
			names = append(names, name.(string))
		}
		err = ctx.Err()
		return err == nil
	})
	return names, err
}

// Album is what callers have. Any goroutine may use it.
type Album struct{ workers *client.Client }

// Open connects to workers, of which some may not be there yet: see client.Dial.
func Open(ctx context.Context, device *transport.Device, addresses ...string) (*Album, error) {
	workers, err := client.Dial(ctx, device, addresses...)
	if err != nil {
		return nil, err
	}
	return &Album{workers}, nil
}

// Close ends the connections.
func (a *Album) Close() error { return a.workers.Close() }

// Put keeps a photograph under a name.
func (a *Album) Put(ctx context.Context, name string, photo []byte) error {
	_, err := put.Call(ctx, a.workers, "put", photo, invoke.CallOptions{Metadata: invoke.Metadata{"name": name}})
	return err
}

// Get returns a photograph, or ErrNoPhoto.
func (a *Album) Get(ctx context.Context, name string) ([]byte, error) {
	photo, err := get.Call(ctx, a.workers, "get", []byte(name), invoke.CallOptions{Room: MaxBytes})
	if e := (*invoke.Error)(nil); errors.As(err, &e) && e.Code == codeNoPhoto {
		err = fmt.Errorf("%w: %q", ErrNoPhoto, name)
	}
	return photo, err
}

// Find returns the names of the photographs that have these bytes in them.
func (a *Album) Find(ctx context.Context, what []byte) ([]string, error) {
	return find.Call(ctx, a.workers, "find", what)
}
