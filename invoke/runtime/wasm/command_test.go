package wasm

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

// What commands import here, and where they have their data.
const (
	fdRead = iota
	fdWrite
	procExit
	fdClose
	argsGet
	argsSizes
	environGet
	environSizes
	imports

	aBuffer  = 64 // a list of one buffer: pointer, length
	aNumber  = 80 // two numbers that a system call stores
	aContent = 1024
	most     = 4096 // bytes read at a time
)

func command(code ...[]byte) []byte {
	of := func(name string, kind byte) imported { return imported{"wasi_snapshot_preview1", name, kind} }
	return assemble(program{
		imports: []imported{
			of("fd_read", typeEntry), of("fd_write", typeEntry), of("proc_exit", typeExit), of("fd_close", typeAlloc),
			of("args_get", typeMore), of("args_sizes_get", typeMore), of("environ_get", typeMore), of("environ_sizes_get", typeMore),
		},
		types:     [][]byte{{0x60, 2, 0x7f, 0x7f, 1, 0x7f}},
		functions: []function{{"_start", typeNone, cat(code...)}},
		noAlloc:   true,
	})
}

func number(at int32) []byte            { return cat(i32(at), op["load"]) }
func set(at int32, v []byte) []byte     { return cat(i32(at), v, op["store"]) }
func does(f uint32, p ...[]byte) []byte { return cat(cat(p...), call(f), op["drop"]) }

func buffer(at, length []byte) []byte { return cat(set(aBuffer, at), set(aBuffer+4, length)) }

// transfer is fd_read or fd_write.
func transfer(f uint32, fd int32) []byte { return does(f, i32(fd), i32(aBuffer), i32(1), i32(aNumber)) }

// raise makes the byte at an address upper case.
func raise(from, to []byte) []byte {
	b := cat(from, []byte{0x2d, 0, 0}) // i32.load8_u
	isLower := cat(b, i32('a'), op["sub"], i32(26), []byte{0x49})
	return cat(to, b, isLower, i32(5), []byte{0x74}, op["sub"], []byte{0x3a, 0, 0}) // i32.shl; i32.store8
}

// each does something for count from 0 on, up to a number that is not 0.
func each(n []byte, body ...[]byte) []byte {
	return cat(i32(0), op["set count"],
		loop(cat(body...), op["get count"], i32(1), op["add"], op["set count"], op["get count"], n, []byte{0x49}, op["br_if 0"]))
}

var (
	readSome = cat(buffer(i32(aContent), i32(most)), transfer(fdRead, 0))
	at       = cat(i32(aContent), op["get count"], op["add"])

	// upper writes its input in upper case.
	upper = command(loop(
		readSome, number(aNumber), op["eqz"], op["if"], op["return"], op["end"],
		each(number(aNumber), raise(at, at)),
		buffer(i32(aContent), number(aNumber)), transfer(fdWrite, 1), op["br 0"]))

	// failing writes its input to the standard error, but for the first byte, its exit status.
	failing = command(readSome, buffer(i32(aContent+1), cat(number(aNumber), i32(1), op["sub"])), transfer(fdWrite, 2),
		i32(aContent), []byte{0x2d, 0, 0}, call(procExit))
)

func TestCommand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, config Config) {
		m := load(t, upper, config)
		require.Equal(t, []string{"_start"}, m.Entries())
		f := entryPoint(t, m, "_start")
		for _, size := range []int{0, 1, 64, most, most + 1, 70_000} {
			in := bytes.Repeat([]byte("aZ{`"), size/4+1)[:size]
			out := bytes.Repeat([]byte{0xEE}, size+1)
			n, err := f(t.Context(), in, out)
			require.NoError(t, err)
			require.Equal(t, string(bytes.ToUpper(in)), string(out[:n]))
			require.EqualValues(t, 0xEE, out[size], "nothing after the result is written")
			if size > 0 {
				n, err = f(t.Context(), in, out[:size-1:size-1])
				require.NoError(t, err)
				require.Equal(t, size, n, "the length needed")
			}
		}
	})
}

// The exit status of a command is the code of its error, the last that it wrote is the message.
func TestCommandThatFails(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	m := load(t, failing, Config{Stderr: &output})
	f := entryPoint(t, m, "_start")
	run := func(in string) error {
		n, err := f(t.Context(), []byte(in), make([]byte, 64))
		require.Zero(t, n)
		return err
	}
	require.NoError(t, run("\x00only a warning\n"))
	require.Equal(t, &invoke.FunctionError{Code: 3, Message: "no such\nphotograph"}, run("\x03no such\nphotograph\n"))
	require.Equal(t, &invoke.FunctionError{Code: 255, Message: "exit status 255"}, run("\xff"))
	require.Equal(t, "only a warning\nno such\nphotograph\n", output.String())
	err := run("\x01first " + strings.Repeat("é", 1000) + "\xff\n")
	require.Equal(t, &invoke.FunctionError{Code: 1, Message: strings.Repeat("é", 511) + "?"}, err)
}

// The tail is the same whatever the lengths of the writes.
func TestTailOfTheStandardError(t *testing.T) {
	t.Parallel()
	i := &instance{stopped: make(chan struct{})}
	i.execution.i = i
	all := ""
	for n := range 100 {
		text := strings.Repeat(string(rune('!'+n%90)), n*n/4)
		all += text
		written, err := complaint{&i.execution}.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), written)
		require.Equal(t, all[max(0, len(all)-messageBytes):], string(i.execution.tail))
	}
}

func TestCommandHasArgumentsAndEnvironment(t *testing.T) {
	t.Parallel()
	show := func(get, sizes uint32) []byte {
		return cat(does(get, i32(256), i32(aContent)), does(sizes, i32(aNumber), i32(aNumber+4)),
			buffer(i32(aContent), number(aNumber+4)), transfer(fdWrite, 1))
	}
	m := load(t, command(show(argsGet, argsSizes), show(environGet, environSizes)), Config{Name: "some.wasm", Env: []string{"A=b=c", "EMPTY="}})
	out := make([]byte, 64)
	n, err := entryPoint(t, m, "_start")(t.Context(), nil, out)
	require.NoError(t, err)
	require.Equal(t, "some.wasm\x00A=b=c\x00EMPTY=\x00", string(out[:n]))
}

// A command need not read its input, and may close its streams.
func TestCommandThatClosesItsStreams(t *testing.T) {
	t.Parallel()
	m := load(t, command(does(fdClose, i32(0)), does(fdClose, i32(1)), does(fdClose, i32(2)), buffer(i32(aContent), i32(5)), transfer(fdWrite, 1)), Config{})
	n, err := entryPoint(t, m, "_start")(t.Context(), []byte("unread"), make([]byte, 64))
	require.NoError(t, err)
	require.Zero(t, n)
}

// Every run begins with the state of the module, also after one that failed.
func TestCommandHasAnInstanceOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, spares := range []int{0, -1} {
		m := load(t, command(op["get count"], i32(1), op["add"], op["set count"], op["get count"], call(procExit)), Config{Spares: spares, Instances: 1})
		for range 5 {
			_, err := entryPoint(t, m, "_start")(t.Context(), nil, nil)
			require.Equal(t, &invoke.FunctionError{Code: 1, Message: "exit status 1"}, err)
			m.mu.Lock() // spares are made meanwhile
			require.Empty(t, m.all, "the instance is gone")
			m.mu.Unlock()
		}
		m.dog.mu.Lock()
		require.LessOrEqual(t, len(m.dog.all), 2)
		m.dog.mu.Unlock()
	}
}

func TestCommandThatTraps(t *testing.T) {
	t.Parallel()
	m := load(t, command(op["unreachable"]), Config{})
	_, err := entryPoint(t, m, "_start")(t.Context(), nil, nil)
	require.ErrorIs(t, err, invoke.ErrCrashed)
	require.ErrorContains(t, err, "_start: ")
	require.ErrorContains(t, err, "unreachable")
}

func TestCommandIsEnded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, config Config) {
		// It writes forever, with its last breath also to the standard error.
		forever := command(loop(buffer(i32(aContent), i32(most)), transfer(fdWrite, 1), transfer(fdWrite, 2), op["br 0"]))
		config.TimeLimit = 5 * time.Millisecond
		_, err := entryPoint(t, load(t, forever, config), "_start")(t.Context(), nil, make([]byte, 64))
		require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
		require.ErrorContains(t, err, "time limit, 5ms")
		config.TimeLimit = 0
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = entryPoint(t, load(t, forever, config), "_start")(ctx, nil, make([]byte, 64))
		require.ErrorIs(t, err, invoke.ErrCanceled)
	})
}

// One system call can name millions of buffers. It has to end with its call.
func TestStreamsOfACommandThatWasEnded(t *testing.T) {
	t.Parallel()
	i := &instance{stopped: make(chan struct{})}
	i.execution = execution{i: i, in: []byte("in"), out: make([]byte, 2)}
	close(i.stopped)
	_, err := i.execution.Read(make([]byte, 2))
	require.Error(t, err)
	_, err = result{&i.execution}.Write([]byte("a"))
	require.Error(t, err)
	_, err = complaint{&i.execution}.Write([]byte("a"))
	require.Error(t, err)
	require.Zero(t, i.execution.length)
}

// BenchmarkUpper is 64 bytes in upper case: a call of a reactor, runs of a command one after
// the other, and a run whose instance was made ready in time.
func BenchmarkUpper(b *testing.B) {
	reactor := entries(entry("upper", each(get(1), raise(cat(get(0), op["get count"], op["add"]), cat(get(2), op["get count"], op["add"]))), get(1)))
	bench := func(name string, m *Module, entry string, between func()) {
		f := entryPoint(b, m, entry)
		b.Run(name, func(b *testing.B) {
			in, out, ctx, spent := bytes.Repeat([]byte("word"), 16), make([]byte, 64), context.Background(), time.Duration(0)
			b.ReportAllocs()
			for b.Loop() {
				from := time.Now()
				n, err := f(ctx, in, out)
				spent += time.Since(from)
				if err != nil || string(out[:n]) != strings.Repeat("WORD", 16) {
					b.Fatal(n, err)
				}
				between()
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "ns/call")
		})
	}
	m := load(b, upper, Config{})
	bench("reactor", load(b, reactor, Config{}), "upper", func() {})
	bench("command", m, "_start", func() {})
	bench("ready", m, "_start", m.work.Wait)
}
