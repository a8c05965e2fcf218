package wasmfile

import (
	"errors"
	"fmt"
	"slices"
)

// Kinds of imports and exports.
const (
	Function = 0
	Table    = 1
	Memory   = 2
	Global   = 3
)

const (
	i32          = 0x7f
	vector       = 0x7b // the other number types are between the two
	functionRef  = 0x70
	externRef    = 0x6f
	functionType = 0x60
)

// FuncType is the type of a function: the types of its parameters and results, a byte each. The
// slices are parts of the module.
type FuncType struct{ Params, Results []byte }

// Equal reports whether two types are the same.
func (t FuncType) Equal(other FuncType) bool {
	return slices.Equal(t.Params, other.Params) && slices.Equal(t.Results, other.Results)
}

// Import is an import of a module.
type Import struct {
	Module, Name string
	Kind         byte
}

// Export is an export of a module.
type Export struct {
	Name  string
	Kind  byte
	Index uint32 // among the module's elements of this kind, imported ones first
}

// FuncType reads the type of a function.
func (r *Reader) FuncType() FuncType {
	if form := r.Byte(); r.Err == nil && form != functionType {
		r.FailAt(r.At-1, fmt.Errorf("a type of the kind %#x, which is not supported: build without garbage collection proposals", form))
	}
	return FuncType{Params: r.valueTypes(), Results: r.valueTypes()}
}

func (r *Reader) valueTypes() []byte {
	n := r.Count()
	from := r.At
	for range n {
		r.ValueType()
	}
	if r.Err != nil {
		return nil
	}
	return r.Data[from:r.At]
}

// Import reads an import; typeOf is the type of an imported function.
func (r *Reader) Import() (i Import, typeOf uint32) {
	i = Import{Module: r.Name(), Name: r.Name(), Kind: r.Byte()}
	switch i.Kind {
	case Function:
		typeOf = r.U32()
	case Table:
		r.ReferenceType()
		r.Limits()
	case Memory:
		r.Limits()
	case Global:
		r.ValueType()
		r.Byte() // mutable or not
	default:
		r.FailAt(r.At-1, fmt.Errorf("an import of the unknown kind %d", i.Kind))
	}
	return i, typeOf
}

// Export reads an export.
func (r *Reader) Export() Export { return Export{Name: r.Name(), Kind: r.Byte(), Index: r.U32()} }

// ValueType skips a value type.
func (r *Reader) ValueType() {
	if b := r.Byte(); r.Err == nil && (b < vector || b > i32) && b != functionRef && b != externRef {
		r.failType(b)
	}
}

// ReferenceType skips a reference type.
func (r *Reader) ReferenceType() {
	if b := r.Byte(); r.Err == nil && b != functionRef && b != externRef {
		r.failType(b)
	}
}

func (r *Reader) failType(b byte) {
	r.FailAt(r.At-1, fmt.Errorf("the type %#x is not one of WebAssembly 2.0: turn newer features (typed references, garbage collection, exceptions) off in the compiler", b))
}

// Limits skips the limits of a table or memory and returns the minimum.
func (r *Reader) Limits() (least uint32) {
	flags := r.Byte()
	if r.Err == nil && flags > 1 {
		r.FailAt(r.At-1, errors.New("a shared or 64-bit memory: turn these features off in the compiler"))
	}
	least = r.U32()
	if flags == 1 {
		r.U32()
	}
	return least
}
