package pack

import (
	"errors"
	"strings"
)

// What this file says of modules is what the documentation of invoke/runtime/wasm
// asks of them: an entry point is an exported function of the type
// (i32, i32, i32, i32) -> i32 whose name begins neither with "_" nor with "rfaas_".
// All other exports are plumbing.

const (
	wasmMemoryExport = "memory"
	wasmAllocExport  = "rfaas_alloc"

	wasmI32            = 0x7f
	wasmEntryArguments = 4
)

// isWasmEntryName reports whether an exported function of that name can be an
// entry point.
func isWasmEntryName(name string) bool {
	return !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, "rfaas_")
}

// isWasmEntryType reports whether a function of that type can be an entry point.
func isWasmEntryType(arguments, results []byte) bool {
	if len(arguments) != wasmEntryArguments || len(results) != 1 || results[0] != wasmI32 {
		return false
	}
	return strings.Count(string(arguments), string([]byte{wasmI32})) == wasmEntryArguments
}

// wasmObstacle says what a module lacks.
func wasmObstacle(memory, alloc bool) error {
	if memory && alloc {
		return nil
	}
	return errors.New("pack: the module does not follow the convention of rfaas: it must export its memory as \"" + wasmMemoryExport +
		"\" and a function \"" + wasmAllocExport + "\", see the documentation of invoke/runtime/wasm")
}
