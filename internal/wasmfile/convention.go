package wasmfile

import "strings"

// The convention of rFaaS, see the documentation of invoke/runtime/wasm: a module exports its
// memory and a function that allocates areas of it. Its entry points are exported functions
// of one type. Other exports are ignored. A command, which is a whole program, exports its
// memory and its start.

// Names of exports.
const (
	MemoryExport = "memory"
	AllocExport  = "rfaas_alloc"

	CommandExport    = "_start"      // of a command; its type is FuncType{}
	InitializeExport = "_initialize" // a module that has it is no command
)

// Types of exported functions.
var (
	EntryType = FuncType{[]byte{i32, i32, i32, i32}, []byte{i32}} // (i32, i32, i32, i32) -> i32
	AllocType = FuncType{[]byte{i32}, []byte{i32}}                // (i32) -> i32
)

// IsEntry reports whether an exported function of EntryType with this name is an entry point.
func IsEntry(name string) bool {
	return name != "" && name[0] != '_' && !strings.HasPrefix(name, "rfaas_")
}
