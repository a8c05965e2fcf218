package invoke

import (
	"encoding/binary"
	"errors"
)

// A worker tells its functions when a client connects, so that a look-up is not the
// client's first call. Each is its flags, a byte as in a look-up's result, the length
// of its name, a byte, and the name; they have the indexes from 1 on.

// directoryBytes bounds what is told; who has more functions is asked.
const directoryBytes = 2048

// directory encodes the functions that there are, none of them if they are too many.
func (r *Registry) directory() []byte {
	var b []byte
	for _, f := range (*r.table.Load())[lookupFunction+1:] {
		b = append(append(b, f.flags(), byte(len(f.name))), f.name...)
		if len(b) > directoryBytes {
			return nil
		}
	}
	return b
}

func (f *registered) flags() byte {
	if f.idempotent {
		return lookupIdempotent
	}
	return 0
}

// decodeDirectory returns the look-ups' results by the functions' names.
func decodeDirectory(b []byte) (map[string]lookupReply, error) {
	all := map[string]lookupReply{}
	for index := uint32(lookupFunction + 1); len(b) > 0; index++ {
		if len(b) < 2 || len(b) < 2+int(b[1]) || b[1] == 0 || index >= maxFunctions {
			return nil, errors.New("malformed directory of the worker's functions")
		}
		end := 2 + int(b[1])
		all[string(b[2:end])] = lookupReply{index: index, idempotent: b[0]&lookupIdempotent != 0}
		b = b[end:]
	}
	return all, nil
}

// lookupReply is what is known of a function: eight bytes, little-endian, its index
// and its flags.
type lookupReply struct {
	index      uint32
	idempotent bool
}

const (
	lookupReplyBytes = 8
	lookupIdempotent = 1 // flag: the function is idempotent
)

func (f *registered) reply(index uint32, out []byte) int {
	if len(out) >= lookupReplyBytes {
		binary.LittleEndian.PutUint32(out, index)
		binary.LittleEndian.PutUint32(out[4:], uint32(f.flags()))
	}
	return lookupReplyBytes
}
