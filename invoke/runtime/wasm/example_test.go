package wasm_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rfaas-go/rfaas/invoke/runtime/wasm"
)

// module has an entry point, echo, and what every module exports: its memory and an allocator.
// In the text format:
//
//	(memory (export "memory") 16 16)
//	(global $heap (mut i32) (i32.const 16))
//	(func (export "echo") (param $in i32) (param $len i32) (param $out i32) (param $cap i32) (result i32)
//	  (if (i32.gt_u (local.get $len) (local.get $cap)) (then (return (local.get $len))))
//	  (memory.copy (local.get $out) (local.get $in) (local.get $len))
//	  (local.get $len))
//	(func (export "rfaas_alloc") (param $size i32) (result i32)
//	  (local.set $size (i32.and (i32.add (local.get $size) (i32.const 15)) (i32.const -16)))
//	  (if (i32.gt_u (i32.add (local.get $size) (global.get $heap)) (i32.const 0x100000)) (then (return (i32.const 0))))
//	  (global.get $heap)
//	  (global.set $heap (i32.add (global.get $heap) (local.get $size))))
const module = "\x00asm\x01\x00\x00\x00" +
	"\x01\x0e\x02\x60\x04\x7f\x7f\x7f\x7f\x01\x7f\x60\x01\x7f\x01\x7f" + // types
	"\x03\x03\x02\x00\x01" + // functions
	"\x05\x04\x01\x01\x10\x10" + // memory
	"\x06\x06\x01\x7f\x01\x41\x10\x0b" + // globals
	"\x07\x1f\x03\x04echo\x00\x00\x0brfaas_alloc\x00\x01\x06memory\x02\x00" + // exports
	"\x0a\x40\x02" + // code
	"\x19\x00\x20\x01\x20\x03\x4b\x04\x40\x20\x01\x0f\x0b\x20\x02\x20\x00\x20\x01\xfc\x0a\x00\x00\x20\x01\x0b" +
	"\x24\x00\x20\x00\x41\x0f\x6a\x41\x70\x71\x22\x00\x23\x00\x6a\x41\x80\x80\xc0\x00\x4b\x04\x40\x41\x00\x0f\x0b" +
	"\x23\x00\x23\x00\x20\x00\x6a\x24\x00\x0b"

// A module is loaded with a limit of its memory, and called. Usually a worker calls its
// functions: they have the type that a worker registers.
func Example() {
	ctx := context.Background()
	m, err := wasm.Load(ctx, []byte(module), wasm.Config{MemoryBytes: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	fmt.Println(m.Entries())
	echo, err := m.Function("echo")
	if err != nil {
		log.Fatal(err)
	}
	out := make([]byte, 100)
	n, err := echo(ctx, []byte("hello"), out)
	fmt.Println(string(out[:n]), err)
	n, err = echo(ctx, []byte("hello"), out[:3])
	fmt.Println("the result is longer than the output:", n, err)
	// Output:
	// [echo]
	// hello <nil>
	// the result is longer than the output: 5 <nil>
}
