package wasm

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
	"github.com/rfaas-go/rfaas/invoke"
)

func load(t testing.TB, code []byte, config Config) *Module {
	t.Helper()
	m, err := Load(t.Context(), code, config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func entryPoint(t testing.TB, m *Module, name string) invoke.Function {
	t.Helper()
	f, err := m.Function(name)
	require.NoError(t, err)
	return f
}

// both runs a test with machine code and with the interpreter.
func both(t *testing.T, test func(t *testing.T, config Config)) {
	for name, interpreter := range map[string]bool{"compiler": false, "interpreter": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, Config{Interpreter: interpreter})
		})
	}
}

// afterwards checks that the module still works.
func afterwards(t *testing.T, m *Module) {
	t.Helper()
	out := make([]byte, 16)
	n, err := entryPoint(t, m, "echo")(t.Context(), []byte("hello"), out)
	require.NoError(t, err)
	require.Equal(t, "hello", string(out[:n]))
}

var (
	forever   = entry("forever", loop(op["br 0"]), i32(0))
	busy      = cat(get(0), op["eqz"], op["if"], i32(0), op["return"], op["end"], get(0), i32(1), op["sub"], call(0), get(0), i32(1), op["sub"], call(0), op["add"])
	recursion = []function{{"", typeAlloc, busy}, entry("busy", i32(60), call(0)), entry("echo", echo)}
)

func TestTraps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code []byte
		text string
	}{
		"unreachable":     {op["unreachable"], "unreachable"},
		"out of bounds":   {cat(i32(-16), op["load"]), "out of bounds"},
		"division":        {cat(i32(1), i32(0), []byte{0x6d}), "divide by zero"},
		"deep recursion":  {cat(get(0), get(1), get(2), get(3), call(0)), "stack overflow"},
		"writes too far":  {cat(i32(-16), i32(1), op["store"], i32(0)), "out of bounds"},
		"copies too much": {cat(get(2), get(0), i32(-1), op["memory.copy"], i32(0)), "out of bounds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, config Config) {
				m := load(t, entries(entry("f", c.code), entry("echo", echo)), config)
				_, err := entryPoint(t, m, "f")(t.Context(), nil, make([]byte, 64))
				require.ErrorIs(t, err, invoke.ErrCrashed)
				require.ErrorContains(t, err, c.text)
				require.ErrorContains(t, err, "f: ", "which function")
				afterwards(t, m)
			})
		})
	}
}

func TestTimeLimitEndsACall(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, config Config) {
		config.TimeLimit = 20 * time.Millisecond
		m := load(t, entries(append(recursion, forever)...), config)
		for _, name := range []string{"forever", "busy"} {
			_, err := entryPoint(t, m, name)(t.Context(), nil, nil)
			require.ErrorIs(t, err, invoke.ErrDeadlineExceeded, name)
			require.ErrorContains(t, err, "20ms", name)
			afterwards(t, m)
		}
	})
}

func TestTheContextOfACallEndsIt(t *testing.T) {
	t.Parallel()
	m := load(t, entries(append(recursion, forever)...), Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := entryPoint(t, m, "forever")(ctx, nil, nil)
	require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)

	ctx, cancel = context.WithCancel(t.Context())
	cancel() // the watchdog sees it at its first check
	_, err = entryPoint(t, m, "busy")(ctx, nil, nil)
	require.ErrorIs(t, err, invoke.ErrCanceled)
	require.ErrorIs(t, err, context.Canceled)
	afterwards(t, m)
}

// CheckContexts ends a call without waiting for the watchdog's next check.
func TestCheckContexts(t *testing.T) {
	t.Parallel()
	m := load(t, entries(append(recursion, forever)...), Config{Spares: -1})
	require.Eventually(t, m.dog.asleep.Load, time.Minute, time.Millisecond) // it has looked after the loading
	m.dog.period = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := entryPoint(t, m, "forever")(ctx, nil, nil)
		ended <- err
	}()
	require.Eventually(t, func() bool { return m.current.Load().state.Load()&phaseMask == phaseRunning }, time.Minute, time.Millisecond)
	m.CheckContexts()
	require.Empty(t, ended)
	cancel()
	m.CheckContexts()
	require.ErrorIs(t, <-ended, invoke.ErrCanceled)
}

// A sleep is outside of the module's code: it has to end, too.
func TestTimeLimitEndsASleep(t *testing.T) {
	t.Parallel()
	// A subscription at 8: user data, clock (0), monotonic (1), one hour in ns, precision, relative.
	data := "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\xa0\xb8\x30\x46\x03\x00\x00" + strings.Repeat("\x00", 16)
	m := load(t, assemble(program{
		imports:   []imported{{"wasi_snapshot_preview1", "poll_oneoff", typeEntry}},
		functions: []function{entry("sleep", loop(i32(8), i32(256), i32(1), i32(512), call(0), op["drop"], op["br 0"]), i32(0)), entry("echo", echo)},
		data:      data,
	}), Config{TimeLimit: 20 * time.Millisecond})
	_, err := entryPoint(t, m, "sleep")(t.Context(), nil, nil)
	require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
	afterwards(t, m)
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, config Config) {
		config.MemoryBytes = 1 << 20
		bomb := entry("bomb", loop(i32(1), op["memory.grow"], i32(0), []byte{0x4e}, op["br_if 0"]), storing(op["memory.size"]))
		m := load(t, entries(bomb, entry("echo", echo)), config)
		out := make([]byte, 16)
		n, err := entryPoint(t, m, "bomb")(t.Context(), nil, out)
		require.NoError(t, err, "memory.grow fails, the call does not")
		require.Equal(t, []byte{16, 0, 0, 0}, out[:n], "16 pages of 64 KiB")
		afterwards(t, m)

		_, err = Load(t.Context(), assemble(program{functions: []function{entry("echo", echo)}, pages: 17}), config)
		require.ErrorContains(t, err, "memory limit of 1048576 bytes")

		// Areas for the input and the result count to it.
		_, err = entryPoint(t, m, "echo")(t.Context(), make([]byte, 2<<20), nil)
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		afterwards(t, m)
	})
}

func TestResultsThatAreNone(t *testing.T) {
	t.Parallel()
	m := load(t, entries(
		entry("huge", i32(1<<31-1)),
		entry("minus", i32(-1<<31)),
		entry("silent", i32(-1)),
		entry("message", get(2), i32('n'|'o'<<8|0xff<<16), op["store"], i32(-4)),
		entry("lies", i32(65)),
		entry("echo", echo)), Config{})
	out := make([]byte, 64)
	for name, want := range map[string]int{"huge": 1<<31 - 1, "lies": 65} {
		n, err := entryPoint(t, m, name)(t.Context(), nil, out)
		require.NoError(t, err)
		require.Equal(t, want, n, "longer than the output: the worker answers with too large")
	}
	for name, want := range map[string]string{
		"message": "no\uFFFD", "silent": "silent returned an error without a message",
	} {
		_, err := entryPoint(t, m, name)(t.Context(), nil, nil)
		require.EqualError(t, err, want)
		require.NotErrorIs(t, err, invoke.ErrCrashed)
	}
	_, err := entryPoint(t, m, "minus")(t.Context(), nil, nil)
	require.Len(t, []rune(err.Error()), 1024, "a longer message is cut")
	afterwards(t, m)
}

func TestModulesThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	good := entries(entry("echo", echo))
	with := func(change func(p *program)) []byte {
		p := program{functions: []function{entry("echo", echo)}}
		change(&p)
		return assemble(p)
	}
	for name, c := range map[string]struct {
		code []byte
		text string
	}{
		"empty":         {nil, "not a WebAssembly module"},
		"text":          {[]byte("#!/bin/sh\necho"), "not a WebAssembly module"},
		"component":     {[]byte("\x00asm\x0d\x00\x01\x00"), "it is a component"},
		"nothing in it": {good[:8], "exports no functions"},
		"unknown import": {with(func(p *program) { p.imports = []imported{{"env", "puts", typeAlloc}} }),
			"it imports env.puts"},
		"unknown WASI": {with(func(p *program) { p.imports = []imported{{"wasi_snapshot_preview1", "fork", typeAlloc}} }),
			"fork"},
		"no memory": {with(func(p *program) { p.noMemory = true }), `exports no memory as "memory"`},
		"no alloc":  {with(func(p *program) { p.noAlloc = true }), "exports no function rfaas_alloc"},
		"no entry":  {entries(function{"echo", typeAlloc, get(0)}), "exports no entry point"},
		"alloc of another type": {with(func(p *program) {
			p.noAlloc, p.functions = true, append(p.functions, function{wasmfile.AllocExport, typeNone, nil})
		}), "(i32) -> i32"},
		"alloc outside": {with(func(p *program) {
			p.noAlloc, p.functions = true, append(p.functions, function{wasmfile.AllocExport, typeAlloc, i32(-4096)})
		}), "within the memory"},
		"alloc gives nothing": {with(func(p *program) {
			p.noAlloc, p.functions = true, append(p.functions, function{wasmfile.AllocExport, typeAlloc, i32(0)})
		}), "no room"},
		"start with a parameter": {with(func(p *program) { p.functions = append(p.functions, function{"_start", typeAlloc, get(0)}) }),
			"_start must have no parameters"},
		"start traps": {with(func(p *program) {
			p.functions, p.start = append(p.functions, function{"", typeNone, op["unreachable"]}), 1
		}), "unreachable"},
		"initialize too": {with(func(p *program) {
			p.functions = append(p.functions, function{"_initialize", typeNone, op["unreachable"]})
		}), "unreachable"},
		"start without end": {with(func(p *program) {
			p.functions, p.start = append(p.functions, function{"", typeNone, loop(op["br 0"])}), 1
		}),
			"time limit"},
		"large table":   {with(func(p *program) { p.table = 1 << 31 }), "tables of 2147483648 entries"},
		"table.grow":    {entries(entry("f", i32(0), i32(0), []byte{0xfc, 15, 0})), "table.grow"},
		"tail call":     {entries(entry("f", []byte{0x12, 0})), "WebAssembly 2.0"},
		"reserved name": {entries(entry(startExport, echo)), "reserved"},
		// instrument adds globals 2 and 3: a module must not reach them.
		"hides from the watchdog": {entries(entry("f", i32(0), []byte{0x24, 3}, i32(0))), "there is no global 3"},
		"ill-typed":               {entries(entry("f", []byte{0x42, 0})), "compile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(t.Context(), c.code, Config{Name: "hostile", LoadTimeLimit: 20 * time.Millisecond})
			require.ErrorContains(t, err, c.text)
			require.ErrorContains(t, err, "wasm: hostile: ")
		})
	}
	t.Run("truncated", func(t *testing.T) {
		t.Parallel()
		for n := range good {
			_, err := Load(t.Context(), good[:n], Config{})
			require.Error(t, err, "%d of %d bytes", n, len(good))
		}
	})
}

// lines collects what is written.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	return len(p), nil
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	// An element at 8: 12 bytes at 16. Once for each byte of the input.
	writes := func(fd int32) []byte {
		return loop(i32(fd), i32(8), i32(1), i32(64), call(0), op["drop"],
			op["get count"], i32(1), op["sub"], op["set count"], op["get count"], op["br_if 0"])
	}
	m, got, complaints := program{
		imports: []imported{{"wasi_snapshot_preview1", "fd_write", typeEntry}, {"wasi_snapshot_preview1", "proc_exit", typeExit}},
		functions: []function{
			entry("print", op["get count"], get(1), op["add"], op["set count"], writes(1), i32(0)),
			entry("complain", op["get count"], get(1), op["add"], op["set count"], writes(2), i32(0)),
			entry("exit", i32(3), call(1), i32(0)),
			entry("echo", echo),
		},
		data: "\x10\x00\x00\x00\x0c\x00\x00\x00" + "hello\nworld\nrest",
	}, &lines{}, &lines{}
	module := load(t, assemble(m), Config{Stdout: got, Stderr: complaints, OutputBytes: 18})
	print := entryPoint(t, module, "print")
	_, err := print(t.Context(), make([]byte, 200_000), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"hello\n", "world\n", "hello\n"}, got.all)
	require.EqualValues(t, 200_000*12-18, module.OutputLost())
	_, err = print(t.Context(), make([]byte, 1), nil)
	require.NoError(t, err)
	require.Len(t, got.all, 5, "the limit is for each call")
	_, err = entryPoint(t, module, "complain")(t.Context(), make([]byte, 1), nil)
	require.NoError(t, err)
	require.Len(t, got.all, 5)
	require.Equal(t, []string{"hello\n", "world\n"}, complaints.all)

	_, err = entryPoint(t, module, "exit")(t.Context(), nil, nil)
	require.ErrorIs(t, err, invoke.ErrCrashed)
	require.ErrorContains(t, err, "proc_exit(3)")
	afterwards(t, module)
}
