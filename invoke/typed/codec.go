// Package typed has functions and calls whose inputs and results are Go types: a Codec
// for each makes bytes of them.
//
//	double := typed.New(typed.JSON[Numbers](), typed.JSON[Numbers]())
//
// The worker registers double.Function(f), whose f takes and returns Numbers; callers
// call double.Call. Both sides share the value double, so that they agree.
//
// Encoding allocates: where each microsecond counts, functions take bytes.
package typed

import (
	"encoding/json"
	"errors"
)

// Codec makes bytes of values, and values of bytes. Any number of goroutines may use
// one.
type Codec[T any] interface {
	// Append adds the encoding of v to b, as the append function does.
	Append(b []byte, v T) ([]byte, error)
	// Decode reads all of b, which it may not keep: it can be memory that a peer writes to.
	Decode(b []byte) (T, error)
}

// JSON encodes as encoding/json does.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Append(b []byte, v T) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(b, text...), err
}

func (jsonCodec[T]) Decode(b []byte) (v T, err error) {
	return v, json.Unmarshal(b, &v)
}

// Bytes are their own encoding. What is decoded is a copy.
func Bytes() Codec[[]byte] { return bytesCodec{} }

type bytesCodec struct{}

func (bytesCodec) Append(b, v []byte) ([]byte, error) { return append(b, v...), nil }
func (bytesCodec) Decode(b []byte) ([]byte, error)    { return append([]byte{}, b...), nil }

// Message is what generated code for protocol buffers has, of the generators that give
// messages methods (vtprotobuf: MarshalVT and UnmarshalVT, of which two lines make
// these; gogo/protobuf: as they are). M is a message, and PM its pointer.
type Message[M any] interface {
	*M
	Marshal() ([]byte, error)
	Unmarshal(b []byte) error
}

// Proto encodes messages by their own methods.
func Proto[M any, PM Message[M]]() Codec[PM] { return messageCodec[M, PM]{} }

type messageCodec[M any, PM Message[M]] struct{}

func (messageCodec[M, PM]) Append(b []byte, m PM) ([]byte, error) {
	if m == nil {
		return b, errors.New("no message: nil")
	}
	text, err := m.Marshal()
	return append(b, text...), err
}

func (messageCodec[M, PM]) Decode(b []byte) (PM, error) {
	m := PM(new(M))
	return m, m.Unmarshal(append([]byte{}, b...)) // messages keep what they are made of
}
