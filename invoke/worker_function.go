package invoke

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Function is what a worker executes. It reads the input in, writes its result
// to the front of out and returns its length in bytes.
//
// Both slices are registered memory, of the call's slot or beyond it, and valid
// until the function returns; neither they nor ctx may be kept. out is as long as
// the caller has room, within WorkerConfig.CallBytes, and holds anything; only a Buffer
// can have less room than a slot. A
// client that breaks the protocol can change in while the function runs, so what
// was checked in it has to be copied before it is relied on. ctx ends when the
// caller gives up, when the call's deadline has passed, when its client is gone and
// when the worker is closed. An error is answered with StatusFunctionError, its text
// and the code of a FunctionError, unless it wraps an error of this package that
// stands for another status; a panic with StatusCrashed. A result that does not fit is answered with StatusTooLarge:
// return the length needed, or an error that wraps io.ErrShortBuffer. A worker
// executes one call at a time, on the goroutine of Serve, unless its
// WorkerConfig.Concurrency says otherwise.
type Function func(ctx context.Context, in, out []byte) (n int, err error)

// maxNameBytes bounds the name of a function.
const maxNameBytes = 255

// maxFunctions is how many functions the immediate data can tell apart.
const maxFunctions = 1 << immFunctionBits

// Registry holds the functions that a worker offers. All methods may be called
// from anywhere; a worker sees what is registered later, too.
type Registry struct {
	mu     sync.Mutex
	byName map[string]uint32
	wraps  []func(name string, f Function) Function
	table  atomic.Pointer[[]registered] // by index; appended to, or replaced
}

type registered struct {
	name       string
	f          Function
	idempotent bool
}

// Wrap puts a hook around all functions, those registered later included: around is
// called once for each, and what it returns is executed instead. So a hook sees what a
// function is given and returns, and can add values to its context. The last Wrap is the
// outermost.
func (r *Registry) Wrap(around func(name string, f Function) Function) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wraps = append(r.wraps, around)
	table := slices.Clone(*r.table.Load())
	for i := range table[lookupFunction+1:] {
		f := &table[lookupFunction+1+i]
		f.f = around(f.name, f.f)
	}
	r.table.Store(&table)
}

// lookupFunction is the index of the function that finds other functions.
const lookupFunction = 0

// NewRegistry makes an empty registry.
func NewRegistry() *Registry {
	r := &Registry{byName: map[string]uint32{}}
	r.table.Store(&[]registered{{name: "(look-up)", f: r.lookup, idempotent: true}})
	return r
}

// Option is a fact about a function that is registered.
type Option func(*registered)

// Idempotent says whether a call of the function may be repeated, after a lost
// connection for instance, without a second effect. Without it a function is
// taken not to be.
func Idempotent(idempotent bool) Option {
	return func(f *registered) { f.idempotent = idempotent }
}

// Register offers a function under a name: 1 to 255 bytes of UTF-8, not taken.
func (r *Registry) Register(name string, f Function, options ...Option) error {
	switch {
	case f == nil:
		return fmt.Errorf("invoke: register %q: the function is nil", name)
	case name == "" || len(name) > maxNameBytes || !utf8.ValidString(name):
		return fmt.Errorf("invoke: register %q: a name is 1 to %d bytes of UTF-8", name, maxNameBytes)
	}
	entry := registered{name: name, f: f}
	for _, option := range options {
		option(&entry)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	table := *r.table.Load()
	if _, taken := r.byName[name]; taken {
		return fmt.Errorf("invoke: register %q: the name is taken", name)
	}
	if len(table) == maxFunctions {
		return fmt.Errorf("invoke: register %q: a registry holds at most %d functions", name, maxFunctions-1)
	}
	for _, around := range r.wraps {
		entry.f = around(name, entry.f)
	}
	r.byName[name] = uint32(len(table))
	table = append(table, entry) // readers of the former slice do not look behind its end
	r.table.Store(&table)
	return nil
}

// Names lists the functions in the order of their registration.
func (r *Registry) Names() []string {
	table := (*r.table.Load())[lookupFunction+1:]
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].name
	}
	return names
}

// lookupReplyBytes is the length of a look-up's result: the function's index and
// its flags, four bytes each, little-endian.
const lookupReplyBytes = 8

const lookupIdempotent = 1 // flag: the function is idempotent

// lookup is the function with index 0: a name in, an index out.
func (r *Registry) lookup(_ context.Context, in, out []byte) (int, error) {
	if len(out) < lookupReplyBytes {
		return lookupReplyBytes, nil
	}
	name := string(in[:min(len(in), maxNameBytes+1)])
	r.mu.Lock()
	index, ok := r.byName[name]
	r.mu.Unlock()
	if !ok {
		return 0, &Error{Status: StatusNotFound, Message: r.missing(name)}
	}
	flags := uint32(0)
	if (*r.table.Load())[index].idempotent {
		flags = lookupIdempotent
	}
	binary.LittleEndian.PutUint32(out, index)
	binary.LittleEndian.PutUint32(out[4:], flags)
	return lookupReplyBytes, nil
}

// missing says that a function is not there, and what is.
func (r *Registry) missing(name string) string {
	const most = 16 // names shown
	names := r.Names()
	if len(names) == 0 {
		return fmt.Sprintf("there is no function %q; the worker has none at all", name)
	}
	s := fmt.Sprintf("there is no function %q; there are: %s", name, strings.Join(names[:min(len(names), most)], ", "))
	if len(names) > most {
		s += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return s
}
