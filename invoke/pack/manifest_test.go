package pack

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

const fullManifest = `{
  "format": 1,
  "name": "full",
  "version": "1.2.3-rc.1+x",
  "runtime": "wasm",
  "module": "lib/full.wasm",
  "functions": [
    {
      "name": "größe",
      "entry": "size",
      "idempotent": true
    },
    {
      "name": "b",
      "entry": "<b>",
      "idempotent": false
    }
  ],
  "slot_bytes": 4096,
  "memory_bytes": 1048576,
  "time_limit": "1.5s",
  "wasi": {
    "directories": [
      {
        "name": "models",
        "writable": true
      }
    ],
    "network": false
  }
}
`

func TestManifest(t *testing.T) {
	t.Parallel()
	m, err := ParseManifest([]byte(fullManifest))
	require.NoError(t, err)
	require.Equal(t, fullManifest, string(m.JSON()))
	want := Manifest{
		Format: 1, Name: "full", Version: "1.2.3-rc.1+x", Runtime: "wasm", Module: "lib/full.wasm",
		Functions: []Function{{"größe", "size", true}, {"b", "<b>", false}},
		SlotBytes: 4096, MemoryBytes: 1 << 20, TimeLimit: Duration{1500 * time.Millisecond},
		WASI: WASI{Directories: []Directory{{"models", true}}},
	}
	require.Empty(t, cmp.Diff(want, m))

	m, err = ParseManifest([]byte(`{"name":"x","runtime":"native","module":"x.so","functions":[{"name":"f"}]}`))
	require.NoError(t, err)
	want = Manifest{
		Format: 1, Name: "x", Version: "0.0.0", Runtime: "native", Module: "x.so", Functions: []Function{{"f", "f", false}},
		SlotBytes: 64 << 10, MemoryBytes: 256 << 20, TimeLimit: Duration{time.Minute}, WASI: WASI{Directories: []Directory{}},
	}
	require.Empty(t, cmp.Diff(want, m))
	require.NotContains(t, string(m.JSON()), "stack_bytes", "packages from before that field have the same digest")

	m.StackBytes = 64 << 20
	again, err := parseCanonical(m.JSON())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(m, again))
}

func TestManifestRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{ // a part of fullManifest, its replacement, and the error
		{`"format": 1`, `"format": 2`, "format: 2 is not known to this build"},
		{`"format": 1`, `"format": 0`, "format: \"0\" is not a value"},
		{`"name": "full"`, `"name": "a/b"`, `name: "a/b": must be 1 to 128 letters`},
		{`"name": "full"`, `"name": ".."`, `name: "..": must be`},
		{`"name": "full"`, `"name": "-x"`, `name: "-x": must be`},
		{`"name": "full"`, `"name": ""`, `name: "" is not a value`},
		{`"name": "full"`, `"Name": "full"`, `"Name": is not a field; there are: format, name, version`},
		{`"name": "full"`, `"name": "full", "name": "full"`, "line 3: name: appears twice"},
		{`"name": "full"`, `"name": 1`, "name: a number where there should be a string"},
		{`"name": "full"`, `"name": null`, "name: null is not a value"},
		{`"name": "full"`, `"name": {}`, "name: a list or an object where there should be a string"},
		{`"version": "1.2.3-rc.1+x"`, `"version": "1 2"`, `version: "1 2": must be`},
		{`"runtime": "wasm"`, `"runtime": "go"`, "compiled into the program that offers them"},
		{`"runtime": "wasm"`, `"runtime": "jvm"`, `runtime: "jvm": must be "native", "wasm" or "command"`},
		{`"runtime": "wasm"`, `"runtime": "native"`, "wasi: is for the runtime wasm"},
		{`lib/full.wasm`, `../full.wasm`, "module: file name"},
		{`lib/full.wasm`, `manifest.json`, "module: manifest.json is the manifest"},
		{`"name": "größe"`, `"name": "b"`, `functions[1].name: "b" is functions[0], too`},
		{`"name": "größe"`, `"name": "a\u202eb"`, "functions[0].name: "},
		{`"name": "größe"`, `"name": "` + strings.Repeat("x", 256) + `"`, "(256 bytes): must be 1 to 255 bytes"},
		{`"name": "größe",`, ``, "functions[0].name: \"\": must be"},
		{`"entry": "size"`, `"entry": "` + strings.Repeat("x", 1025) + `"`, "functions[0].entry: "},
		{`"idempotent": true`, `"idempotent": 1`, "functions.idempotent: a number where there should be true or false"},
		{`"idempotent": true`, `"pure": true`, `line 11: functions[0]."pure": is not a field; there are: name, entry, idempotent`},
		{`"slot_bytes": 4096`, `"slot_bytes": 255`, "slot_bytes: 255: must be 256 to 1073741824"},
		{`"slot_bytes": 4096`, `"slot_bytes": 1073741825`, "slot_bytes: 1073741825: must be"},
		{`"slot_bytes": 4096`, `"slot_bytes": 1.5`, "slot_bytes: a number 1.5 where there should be a whole number"},
		{`"memory_bytes": 1048576`, `"memory_bytes": 1048575`, "memory_bytes: 1048575: must be"},
		{`"memory_bytes": 1048576`, `"memory_bytes": 4294967297`, "memory_bytes: 4294967297: must be 1048576 to 4294967296"},
		{`"memory_bytes": 1048576`, `"memory_bytes": 0`, `memory_bytes: "0" is not a value`},
		{`"time_limit"`, `"stack_bytes": 1048576, "time_limit"`, "stack_bytes: is for the runtime native"},
		{`"time_limit"`, `"stack_bytes": 0, "time_limit"`, `stack_bytes: "0" is not a value`},
		{`"1.5s"`, `"999us"`, "time_limit: 999µs: must be 1ms to 24h0m0s"},
		{`"1.5s"`, `"24h1ns"`, "time_limit: 24h0m0.000000001s: must be"},
		{`"1.5s"`, `"0s"`, "time_limit: 0s: must be"},
		{`"1.5s"`, `"soon"`, `"soon" is not a duration`},
		{`"1.5s"`, `1.5`, "time_limit"},
		{`"wasi": {`, `"arguments": ["x"], "wasi": {`, "arguments: is for the runtime command"},
		{`"wasi": {`, `"arguments": "x", "wasi": {`, "arguments: should be a list"},
		{`"wasi": {`, `"arguments": [null], "wasi": {`, "arguments[0]: null is not a value"},
		{`"wasi": {`, `"warm": true, "wasi": {`, "warm: is for the runtime command"},
		{`"name": "models"`, `"name": "a/b"`, `wasi.directories[0].name: "a/b"`},
		{`"network": false`, `"network": true`, "wasi.network: there is no network for WebAssembly functions"},
		{`"writable": true`, `"mode": 1`, `wasi.directories[0]."mode": is not a field`},
		{"\n}\n", "\n}\n{}", "something follows the manifest"},
		{"\n}\n", "", "not valid JSON"},
		{fullManifest, "[]", "the manifest: a list or an object where there should be an object"},
		{fullManifest, `"x"`, "the manifest: should be an object"},
		{fullManifest, "", "not valid JSON"},
	} {
		require.Equal(t, 1, strings.Count(fullManifest, c[0]), c[0])
		_, err := ParseManifest([]byte(strings.Replace(fullManifest, c[0], c[1], 1)))
		require.ErrorContains(t, err, c[2])
		require.ErrorContains(t, err, "pack: manifest")
	}
	_, err := ParseManifest(make([]byte, maxManifestBytes+1))
	require.ErrorContains(t, err, "must be at most")

	m, err := ParseManifest([]byte(fullManifest))
	require.NoError(t, err)
	native := m
	native.Runtime, native.StackBytes = "native", 1
	require.ErrorContains(t, native.Validate(), "stack_bytes: 1: must be 16384 to 1099511627776")
	native.StackBytes = native.MemoryBytes + 1
	require.ErrorContains(t, native.Validate(), "stack_bytes: 1048577: is more than the memory that it counts to: memory_bytes is 1048576")
	m.WASI.Directories = append(m.WASI.Directories, m.WASI.Directories[0])
	require.ErrorContains(t, m.Validate(), `wasi.directories[1].name: "models" appears twice`)
	m.WASI.Directories = make([]Directory, maxDirectories+1)
	require.ErrorContains(t, m.Validate(), "wasi.directories: 17 of them")
	m.Name, m.Version = "", ""
	require.Len(t, strings.Split(m.Validate().Error(), "\n"), 3, "every problem is reported")
}

func TestManifestOfProgram(t *testing.T) {
	t.Parallel()
	m, err := ParseManifest([]byte(`{"name":"x","runtime":"command","module":"x.py","functions":[{"name":"x"}],"warm":true,"arguments":["","0","-x"]}`))
	require.NoError(t, err)
	require.True(t, m.Warm)
	require.Equal(t, []string{"", "0", "-x"}, m.Arguments)
	again, err := parseCanonical(m.JSON())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(m, again))
	m.Arguments = []string{strings.Repeat("\x01", maxArgumentBytes)}
	require.NoError(t, m.Validate())
	for want, arguments := range map[string][]string{
		"arguments: 65537 bytes: must be at most 65536": {strings.Repeat("x", maxArgumentBytes), "x"},
		"arguments: 257 of them: must be at most 256":   make([]string, maxArguments+1),
		`arguments[1]: "a\x00b": must be UTF-8 without`: {"", "a\x00b"},
		`arguments[0]: "\xff": must be UTF-8 without`:   {"\xff"},
		`arguments[0]: "-{}": a program that is warm`:   {"-{}"},
	} {
		m.Arguments = arguments
		require.ErrorContains(t, m.Validate(), want)
	}
	m.Arguments, m.Warm = []string{"{}"}, false
	require.NoError(t, m.Validate())
}

// The functions of the largest valid manifest can be registered with a worker, and its JSON
// is within the bound.
func TestLargestManifest(t *testing.T) {
	t.Parallel()
	m, err := ParseManifest([]byte(fullManifest))
	require.NoError(t, err)
	m.Functions = nil
	registry := invoke.NewRegistry()
	for i := range maxFunctions {
		name := fmt.Sprintf("%04d", i) + strings.Repeat(`"`, maxFunctionBytes-4)
		m.Functions = append(m.Functions, Function{Name: name, Entry: strings.Repeat(`\`, maxEntryBytes)})
		require.NoError(t, registry.Register(name, func(context.Context, []byte, []byte) (int, error) { return 0, nil }))
	}
	require.NoError(t, m.Validate())
	again, err := parseCanonical(m.JSON())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(m, again))
	m.Functions = append(m.Functions, Function{Name: "one more", Entry: "x"})
	require.ErrorContains(t, m.Validate(), "functions: 1024 of them: must be 1 to 1023")
}

func TestDigest(t *testing.T) {
	t.Parallel()
	d := Digest{1, 0xab}
	for _, s := range []string{d.String(), strings.TrimPrefix(d.String(), "sha256:")} {
		got, err := ParseDigest(s)
		require.NoError(t, err)
		require.Equal(t, d, got)
	}
	var got Digest
	text, err := d.MarshalText()
	require.NoError(t, err)
	require.NoError(t, got.UnmarshalText(text))
	require.Equal(t, d, got)
	require.True(t, Digest{}.IsZero())
	require.False(t, d.IsZero())
	for _, s := range []string{"", "sha256:", "md5:00", d.String() + "00", strings.ToUpper(d.String()), strings.Replace(d.String(), "ab", "AB", 1), "sha256:../" + d.String()[10:]} {
		_, err := ParseDigest(s)
		require.ErrorContains(t, err, "is not a digest")
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(fullManifest))
	f.Add([]byte(`{"name":"x","runtime":"native","module":"x.so","functions":[{"name":"f"}]}`))
	f.Add([]byte(`{"name":"x","runtime":"command","module":"x","functions":[{"name":"x"}],"arguments":[],"warm":false}`))
	f.Add([]byte(`{"wasi":{"directories":[null]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			return
		}
		again, err := parseCanonical(m.JSON())
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(m, again))
	})
}

func TestMounts(t *testing.T) {
	t.Parallel()
	grants := map[string]Grant{"models": {Path: "/srv/models"}, "out": {"/srv/out", true}, "unasked": {"/srv", true}}
	mounts, err := WASI{Directories: []Directory{{"out", true}, {"models", false}}}.Mounts(grants)
	require.NoError(t, err)
	require.Equal(t, []Mount{{"/out", "/srv/out", true}, {"/models", "/srv/models", false}}, mounts)
	mounts, err = WASI{Directories: []Directory{{"out", false}}}.Mounts(grants)
	require.NoError(t, err)
	require.Equal(t, []Mount{{"/out", "/srv/out", false}}, mounts, "not more than it requests")
	mounts, err = WASI{}.Mounts(grants)
	require.NoError(t, err)
	require.Empty(t, mounts)

	mounts, err = WASI{Directories: []Directory{{"models", true}, {"out", true}, {"home", false}}}.Mounts(grants)
	require.Empty(t, mounts, "all or nothing")
	require.ErrorContains(t, err, `"models" to write, and this node gives it to read only`)
	require.ErrorContains(t, err, `"home", which this node does not give`)
	_, err = WASI{Directories: []Directory{{"models", false}}}.Mounts(nil)
	require.ErrorContains(t, err, "does not give")
}
