package wasmfile

import (
	"errors"
	"fmt"
	"strings"
)

// WASI is the module whose functions a module may import: preview 1.
const WASI = "wasi_snapshot_preview1"

// ComponentHeader is the beginning of a component: of the other layer of the format.
const ComponentHeader = "\x00asm\x0d\x00\x01\x00"

// ErrComponent says that something is a component.
var ErrComponent = errors.New("it is a component, not a core module; components are not supported: build for wasm32-wasip1 instead of " +
	"wasm32-wasip2 and without 'wasm-tools component new', or take the module out of it with 'wasm-tools component unbundle'")

// foreign are the imports that tools make for hosts that are not here, the most telling first: the module (none stands
// for any), the beginning of the name, what it is, and how to build it without.
var foreign = []struct{ module, prefix, what, instead string }{
	{"wasi_unstable", "", "made for the old WASI, preview 0", "build it with a compiler of today, for wasm32-wasip1 (wasm32-wasi)"},
	{"asyncify", "", "made with Binaryen's asyncify, and needs a JavaScript host that resumes it", "build it without --asyncify"},
	{"gojs", "", "Go code for a browser (GOOS=js), and needs a JavaScript host", "build it with GOOS=wasip1 GOARCH=wasm"},
	{"go", "", "Go code for a browser (GOOS=js), and needs a JavaScript host", "build it with GOOS=wasip1 GOARCH=wasm"},
	{"", "__wbindgen", "made for wasm-bindgen, and needs a JavaScript host", rustInstead},
	{"", "__wbg_", "made by wasm-bindgen, and needs a JavaScript host", rustInstead},
	{"wbindgen", "", "made by wasm-bindgen, and needs a JavaScript host", rustInstead},
	{"wbg", "", "made by wasm-bindgen, and needs a JavaScript host", rustInstead},
	{"env", "emscripten_", "made by Emscripten, and needs a JavaScript host", emscriptenInstead},
	{"env", "_emscripten_", "made by Emscripten, and needs a JavaScript host", emscriptenInstead},
	{"a", "", "made by Emscripten, and needs a JavaScript host", emscriptenInstead},
	{"env", "abort", "made by AssemblyScript, and needs a JavaScript host", "build it with 'asc --use abort=' (or with the package @assemblyscript/wasi-shim)"},
	{"env", "", "made for a host that has these functions, most often JavaScript",
		"define what is missing, or build with the C library of WASI: --target=wasm32-wasi (clang), wasm32-wasip1 (Rust), emcc -sSTANDALONE_WASM"},
}

const (
	rustInstead       = "build it without wasm-bindgen, with --target wasm32-wasip1 (or wasm32-unknown-unknown)"
	emscriptenInstead = "build it with emcc -sSTANDALONE_WASM, or with clang --target=wasm32-wasi"
)

// Needs is what a module's imports say about the host that it needs. The zero value is of a
// module without imports.
type Needs struct {
	rank    int // in foreign; lower is more telling
	unknown bool
	of      Import
}

// Add adds an import.
func (n *Needs) Add(i Import) {
	if i.Module == WASI && i.Kind == Function {
		return
	}
	rank := len(foreign)
	for at, f := range foreign {
		if (f.module == "" || i.Module == f.module) && strings.HasPrefix(i.Name, f.prefix) {
			rank = at
			break
		}
	}
	if !n.unknown || rank < n.rank {
		*n = Needs{rank, true, i}
	}
}

// Err says what there is not, and how to build a module without it; it is nil if the module
// imports functions of WASI only.
func (n *Needs) Err() error {
	if !n.unknown {
		return nil
	}
	if n.rank < len(foreign) {
		f := foreign[n.rank]
		return fmt.Errorf("it imports %s.%s: it is %s: %s", n.of.Module, n.of.Name, f.what, f.instead)
	}
	if n.of.Kind != Function {
		return fmt.Errorf("it imports %s.%s, which is not a function: memories, tables and globals have to be its own", n.of.Module, n.of.Name)
	}
	return fmt.Errorf("it imports %s.%s, which does not exist: a module may import functions of %s and nothing else", n.of.Module, n.of.Name, WASI)
}
