package wasmfile

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestU32(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		data string
		want uint32
		err  string
	}{
		{"\x00", 0, ""},
		{"\x7f", 127, ""},
		{"\x80\x01", 128, ""},
		{"\x80\x80\x80\x80\x00", 0, ""}, // longer than necessary
		{"\xff\xff\xff\xff\x0f", 1<<32 - 1, ""},
		{"\xff\xff\xff\xff\x1f", 0, "a number has more than 32 bits"},
		{"\x80\x80\x80\x80\x80\x00", 0, "a number has more than 32 bits"},
		{"\xff\xff", 0, "it ends too early"},
		{"", 0, "it ends too early"},
	} {
		r := &Reader{Data: []byte(c.data)}
		require.Equal(t, c.want, r.U32(), "%q", c.data)
		if c.err == "" {
			require.NoError(t, r.Err, "%q", c.data)
		} else {
			require.ErrorContains(t, r.Err, c.err, "%q", c.data)
		}
		require.Equal(t, len(c.data), r.At)
	}
}

// The first error is kept, and reads after it return zero values.
func TestFirstError(t *testing.T) {
	t.Parallel()
	r := &Reader{Data: []byte("\x02\xc3\x28abc")}
	require.Empty(t, r.Name())
	require.EqualError(t, r.Err, "offset 0x1: a name is not UTF-8")
	require.False(t, r.More())
	require.Zero(t, r.Byte())
	require.Zero(t, r.U32())
	require.Nil(t, r.Bytes(1))
	require.Zero(t, r.Export())
	r.End()
	require.EqualError(t, r.Err, "offset 0x1: a name is not UTF-8")
}

// A list cannot have more elements than there are bytes.
func TestCount(t *testing.T) {
	t.Parallel()
	r := &Reader{Data: []byte("\x02ab")}
	require.EqualValues(t, 2, r.Count())
	r = &Reader{Data: []byte("\x03ab")}
	require.Zero(t, r.Count())
	require.ErrorContains(t, r.Err, "a list of 3 elements in 2 bytes")
}

func TestElements(t *testing.T) {
	t.Parallel()
	r := &Reader{Data: []byte("\x60\x04\x7f\x7f\x7f\x7f\x01\x7f" + "\x60\x01\x7f\x01\x7f" + "\x60\x02\x7b\x6f\x00")}
	entry, alloc, other := r.FuncType(), r.FuncType(), r.FuncType()
	require.True(t, entry.Equal(EntryType))
	require.True(t, alloc.Equal(AllocType))
	require.False(t, alloc.Equal(entry))
	require.Equal(t, FuncType{[]byte{0x7b, 0x6f}, []byte{}}, other)
	r.End()
	require.NoError(t, r.Err)

	r = &Reader{Data: []byte("\x01m\x01f\x00\x07" + "\x01m\x01t\x01\x70\x01\x02\x03" + "\x01m\x01m\x02\x00\x02" + "\x01m\x01g\x03\x7e\x01")}
	f, typeOf := r.Import()
	require.Equal(t, Import{"m", "f", Function}, f)
	require.EqualValues(t, 7, typeOf)
	for _, want := range []Import{{"m", "t", Table}, {"m", "m", Memory}, {"m", "g", Global}} {
		i, _ := r.Import()
		require.Equal(t, want, i)
	}
	r.End()
	require.NoError(t, r.Err)

	for want, data := range map[string]string{
		"offset 0x0: a type of the kind 0x5f":                     "\x5f\x00",
		"offset 0x2: the type 0x63 is not one of WebAssembly 2.0": "\x60\x02\x63\x28\x00",
		"offset 0x3: it is longer than its content":               "\x60\x00\x00\x00",
		"offset 0x2: a list of 127 elements in 0 bytes":           "\x60\x7f",
		"offset 0x3: it ends too early":                           "\x60\x01\x7f",
	} {
		r := &Reader{Data: []byte(data)}
		r.FuncType()
		r.End()
		require.ErrorContains(t, r.Err, want)
	}
	for want, data := range map[string]string{
		"offset 0x2: an import of the unknown kind 4": "\x00\x00\x04\x00",
		"offset 0x3: a shared or 64-bit memory":       "\x00\x00\x02\x03\x01\x01",
		"offset 0x3: the type 0x7f is not one":        "\x00\x00\x01\x7f\x00\x00",
	} {
		r := &Reader{Data: []byte(data)}
		r.Import()
		require.ErrorContains(t, r.Err, want)
	}
}

func TestIsEntry(t *testing.T) {
	t.Parallel()
	require.True(t, IsEntry("echo"))
	for _, name := range []string{"", "_initialize", "rfaas_alloc"} {
		require.False(t, IsEntry(name), "%q", name)
	}
}

func sections(data string) (all []Section, err error) {
	for s, err := range Sections(bytes.NewReader([]byte(data)), int64(len(data))) {
		if err != nil {
			return all, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Sections are in order, once each, and within the module; custom ones can be anywhere.
func TestSections(t *testing.T) {
	t.Parallel()
	all, err := sections(Header + "\x00\x01a" + "\x01\x02bc" + "\x00\x00" + "\x0c\x00" + "\x0a\x81\x00d" + "\x00\x00")
	require.NoError(t, err)
	require.Equal(t, []Section{{Custom, 10, 1}, {Types, 13, 2}, {Custom, 17, 0}, {DataCount, 19, 0}, {Code, 22, 1}, {Custom, 25, 0}}, all)
	for data, want := range map[string]string{
		"":                               "not a WebAssembly module",
		Header[:7]:                       "not a WebAssembly module",
		ComponentHeader:                  "it is a component",
		Header + "\x01":                  "section 1 at byte 8 does not end within the module",
		Header + "\x01\x02a":             "section 1 at byte 8 does not end within the module",
		Header + "\x01\xff\xff":          "section 1 at byte 8 does not end within the module",
		Header + "\x01\x00\x01\x00":      "section 1 at byte 10 is unknown, repeated or at the wrong place",
		Header + "\x03\x00\x02\x00":      "section 2 at byte 10 is unknown, repeated or at the wrong place",
		Header + "\x00\x00" + "\x0d\x00": "section 13 at byte 10 is unknown, repeated or at the wrong place",
	} {
		_, err := sections(data)
		require.ErrorContains(t, err, want, "%q", data)
	}
}

// FuzzSections: sections are within the module and do not overlap, and any content can be
// read.
func FuzzSections(f *testing.F) {
	f.Add([]byte(Header + "\x00\x01a" + "\x01\x04\x01\x60\x00\x00" + "\x02\x07\x01\x01m\x01f\x00\x00" + "\x07\x05\x01\x01f\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		end := int64(len(Header))
		for s, err := range Sections(bytes.NewReader(data), int64(len(data))) {
			if err != nil {
				return
			}
			require.Greater(t, s.At, end)
			end = s.At + s.Size
			require.LessOrEqual(t, end, int64(len(data)))
			content := data[s.At:end]
			for _, read := range []func(r *Reader){
				func(r *Reader) { r.FuncType() }, func(r *Reader) { r.Import() }, func(r *Reader) { r.Export() },
			} {
				r := &Reader{Data: content}
				for range r.Count() {
					read(r)
				}
				require.LessOrEqual(t, r.At, len(content))
			}
		}
	})
}
