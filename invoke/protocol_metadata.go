package invoke

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Metadata is sent with a call beside its input: who asks, which trace the call belongs
// to. Keys have 1 to 255 bytes, all of it at most MaxMetadataBytes; keys and values are
// any bytes. A call without metadata pays nothing for it.
//
// W3C trace context is the keys "traceparent" and "tracestate": see package
// invoke/tracing.
type Metadata map[string]string

// MaxMetadataBytes bounds the Metadata of a call: keys, values and 3 bytes for each pair.
// With smaller slots it is as much as a slot holds.
const MaxMetadataBytes = 4096

// MetadataOf returns the metadata of the call that a Function executes, nil if there are
// none. ctx is the function's context, or derived from it. The map must not be changed.
func MetadataOf(ctx context.Context) Metadata {
	m, _ := ctx.Value(metadataKey{}).(Metadata)
	return m
}

type metadataKey struct{}

// Metadata follows the header and the input, if that does. The pairs are in the order of
// their keys:
//
//	0  1  bytes of the key
//	1  2  bytes of the value, little-endian
//	3 ..  key, value
const pairBytes = 3

// encodedBytes is how long what appendTo appends is.
func (m Metadata) encodedBytes() (n int, err error) {
	for key, value := range m {
		if key == "" || len(key) > maxKeyBytes {
			return 0, fmt.Errorf("a key of the metadata has %d bytes; 1 to %d are possible", len(key), maxKeyBytes)
		}
		n += pairBytes + len(key) + len(value)
	}
	return n, nil
}

const maxKeyBytes = 255

// appendTo appends the encoding, which is no longer than MaxMetadataBytes.
func (m Metadata) appendTo(b []byte) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		b = append(b, byte(len(key)))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(m[key])))
		b = append(append(b, key...), m[key]...)
	}
}

// decodeMetadata reads what a peer wrote, and keeps nothing of b.
func decodeMetadata(b []byte) (Metadata, error) {
	m := Metadata{}
	last := ""
	for text := string(b); text != ""; {
		if len(text) < pairBytes {
			return nil, errors.New("a part of a pair")
		}
		key := pairBytes + int(text[0])
		end := key + int(text[1]) + int(text[2])<<8
		if key == pairBytes || end > len(text) {
			return nil, errors.New("a pair without a key, or longer than all of it")
		}
		k := text[pairBytes:key]
		if k <= last {
			return nil, errors.New("keys that are not in order")
		}
		m[k], last, text = text[key:end], k, text[end:]
	}
	return m, nil
}
