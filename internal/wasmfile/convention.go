package wasmfile

import "strings"

// What rFaaS asks of a module, see the documentation of invoke/runtime/wasm: it exports
// its memory and a function that gives out areas of it. Its entry points are exported
// functions of one type. All other exports are plumbing.

// Names of exports.
const (
	MemoryExport = "memory"
	AllocExport  = "rfaas_alloc"
)

// Types of exported functions.
var (
	EntryType = FuncType{[]byte{i32, i32, i32, i32}, []byte{i32}} // (i32, i32, i32, i32) -> i32
	AllocType = FuncType{[]byte{i32}, []byte{i32}}                // (i32) -> i32
)

// IsEntry reports whether an exported function of this name is an entry point, if it is
// of the type of one.
func IsEntry(name string) bool {
	return name != "" && name[0] != '_' && !strings.HasPrefix(name, "rfaas_")
}
