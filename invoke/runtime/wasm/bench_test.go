package wasm

import (
	"context"
	"testing"

	"github.com/rfaas-go/rfaas/invoke"
)

// BenchmarkCall is a call with 64 bytes, and the same in Go.
func BenchmarkCall(b *testing.B) {
	m := load(b, entries(entry("echo", echo)), Config{})
	wasm := entryPoint(b, m, "echo")
	plain := func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil }
	for name, f := range map[string]invoke.Function{"wasm": wasm, "go": plain} {
		b.Run(name, func(b *testing.B) {
			in, out, ctx := make([]byte, 64), make([]byte, 64), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if n, err := f(ctx, in, out); err != nil || n != 64 {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// sum adds bytes up, in a tight loop.
var sum = entry("sum", i32(0), op["set count"], i32(0), op["set heap"],
	loop(op["get count"], get(0), op["get heap"], op["add"], []byte{0x2d, 0, 0}, op["add"], op["set count"],
		op["get heap"], i32(1), op["add"], op["set heap"],
		op["get heap"], get(1), []byte{0x49}, op["br_if 0"]), storing(op["get count"]))

// BenchmarkLoop shows the cost of the checks in a tight loop.
func BenchmarkLoop(b *testing.B) {
	f := entryPoint(b, load(b, entries(sum), Config{}), "sum")
	in, out := make([]byte, 4096), make([]byte, 64)
	for b.Loop() {
		if _, err := f(context.Background(), in, out); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInstantiate is the cost of a trap beyond the call.
func BenchmarkInstantiate(b *testing.B) {
	m := load(b, entries(entry("echo", echo)), Config{})
	for b.Loop() {
		i, err := m.instantiate(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		m.discard(i)
	}
}

// BenchmarkLoad loads a module with its first instance.
func BenchmarkLoad(b *testing.B) {
	code := entries(entry("echo", echo))
	for name, dir := range map[string]string{"compiled": "", "cached": b.TempDir()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				m, err := Load(context.Background(), code, Config{CacheDir: dir, Spares: -1})
				if err != nil {
					b.Fatal(err)
				}
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
