package wasmfile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a module needs is told by the most telling import, wherever it is.
func TestNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		module, name, what, instead string
	}{
		{"env", "__wbindgen_throw", "wasm-bindgen", "wasm32-wasip1"},
		{"wbindgen", "x", "wasm-bindgen", "wasm32-wasip1"},
		{"__wbindgen_placeholder__", "__wbindgen_describe", "wasm-bindgen", "wasm32-wasip1"},
		{"./lz4_wasm_bg.js", "__wbindgen_string_new", "wasm-bindgen", "wasm32-wasip1"},
		{"wbg", "__wbg_new_28c511d9baebfa89", "wasm-bindgen", "wasm32-wasip1"},
		{"gojs", "runtime.wasmExit", "GOOS=js", "GOOS=wasip1"},
		{"go", "debug", "GOOS=js", "GOOS=wasip1"},
		{"a", "a", "Emscripten", "-sSTANDALONE_WASM"},
		{"env", "emscripten_resize_heap", "Emscripten", "-sSTANDALONE_WASM"},
		{"env", "abort", "AssemblyScript", "asc --use abort="},
		{"asyncify", "start_unwind", "asyncify", "without --asyncify"},
		{"wasi_unstable", "fd_write", "preview 0", "wasm32-wasip1"},
		{"env", "puts", "most often JavaScript", "wasm32-wasi"},
		{"other", "f", "does not exist", WASI},
	} {
		n := Needs{}
		n.Add(Import{Module: WASI, Name: "fd_write"})
		require.NoError(t, n.Err())
		if c.what != "most often JavaScript" && c.what != "does not exist" {
			n.Add(Import{Module: "env", Name: "puts"})
		}
		n.Add(Import{Module: c.module, Name: c.name})
		n.Add(Import{Module: "last", Name: "memory", Kind: Memory})
		require.ErrorContains(t, n.Err(), "it imports "+c.module+"."+c.name)
		require.ErrorContains(t, n.Err(), c.what)
		require.ErrorContains(t, n.Err(), c.instead)
	}
	n := Needs{}
	n.Add(Import{Module: WASI, Name: "memory", Kind: Memory})
	require.ErrorContains(t, n.Err(), "which is not a function")
}
