package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"runtime"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/remote"
)

// A slot of the table, in the server's memory:
//
//	 0  version, 8 bytes: even, or odd while a client writes
//	 8  length of the key, 0 if the slot is empty; length of the value
//	10  key, then value
const (
	slotBytes    = 128
	versionBytes = 8
	headerBytes  = 2
	// MaxBytes is how long a key and its value can be together.
	MaxBytes = slotBytes - versionBytes - headerBytes
)

var (
	errTooLong = fmt.Errorf("a key has at least 1 byte, and at most %d together with its value", MaxBytes)
	errFull    = errors.New("the table is full")
)

// Store is a table of keys and values in the memory of a server, which does nothing for it:
// clients find, read and change entries with one-sided reads, writes and compare-and-swap.
// Its methods may be called from any goroutine. A client that dies while it changes an entry leaves
// that locked.
type Store struct {
	memory *remote.Memory
	table  transport.RemoteSpan
}

// Open connects to a server.
func Open(ctx context.Context, device *transport.Device, network, address string) (*Store, error) {
	memory, err := remote.Dial(ctx, device, network, address, remote.Config{})
	if err != nil {
		return nil, err
	}
	table, ok := transport.DecodeRemoteSpan(memory.Conn().Peer().PrivateData)
	if !ok || table.Len < slotBytes {
		return nil, errors.Join(errors.New("the server grants no table"), memory.Close())
	}
	return &Store{memory, table}, nil
}

// Close ends the connection.
func (s *Store) Close() error { return s.memory.Close() }

// Get returns the value of a key, and whether there is one.
func (s *Store) Get(ctx context.Context, key string) (value string, ok bool, err error) {
	err = s.probe(key, func(slot transport.RemoteSpan) (done bool, err error) {
		there, found, _, err := s.read(ctx, slot)
		if err == nil && there == key {
			value, ok = found, true
		}
		return ok || there == "", err
	})
	if err == errFull {
		err = nil
	}
	return value, ok, err
}

// Set gives a key a value.
func (s *Store) Set(ctx context.Context, key, value string) error {
	return s.Update(ctx, key, func(string) string { return value })
}

// Update changes the value of a key, which is empty if there is none, in one step: no other
// change comes in between.
func (s *Store) Update(ctx context.Context, key string, change func(old string) string) error {
	return s.probe(key, func(slot transport.RemoteSpan) (done bool, err error) {
		for {
			there, old, version, err := s.read(ctx, slot)
			if err != nil || there != "" && there != key {
				return false, err
			}
			lock := slot.Slice(0, versionBytes)
			was, err := s.memory.CompareSwap(ctx, lock, version, version+1)
			if err != nil {
				return false, err
			}
			if was != version { // another client was faster
				continue
			}
			entry, tooLong := encode(key, change(old))
			if tooLong == nil {
				err = s.memory.Write(ctx, slot.Slice(versionBytes, len(entry)), entry)
			}
			_, unlock := s.memory.CompareSwap(ctx, lock, version+1, version+2)
			return true, errors.Join(tooLong, err, unlock)
		}
	})
}

// probe visits the slots in which a key can be, from where its hash says on, until it is done.
func (s *Store) probe(key string, visit func(slot transport.RemoteSpan) (done bool, err error)) error {
	if _, err := encode(key, ""); err != nil {
		return err
	}
	h := fnv.New64a()
	h.Write([]byte(key))
	slots := int(s.table.Len) / slotBytes
	for i := range slots {
		at := (int(h.Sum64()%uint64(slots)) + i) % slots
		if done, err := visit(s.table.Slice(at*slotBytes, slotBytes)); done || err != nil {
			return err
		}
	}
	return errFull
}

// read returns what is in a slot, as of one moment: the version is the same before and after.
func (s *Store) read(ctx context.Context, slot transport.RemoteSpan) (key, value string, version uint64, err error) {
	var before, after [versionBytes]byte
	var entry [slotBytes - versionBytes]byte
	for {
		if err := s.memory.Read(ctx, before[:], slot); err != nil {
			return "", "", 0, err
		}
		if version = binary.NativeEndian.Uint64(before[:]); version%2 == 0 {
			err := s.memory.Read(ctx, entry[:], slot.Slice(versionBytes, len(entry)))
			if err == nil {
				err = s.memory.Read(ctx, after[:], slot)
			}
			if err != nil {
				return "", "", 0, err
			}
			if before == after {
				break
			}
		}
		runtime.Gosched() // it is being written
	}
	k, v := int(entry[0]), int(entry[1])
	if k+v > MaxBytes {
		return "", "", 0, fmt.Errorf("an entry of %d bytes: this is no table of this program", k+v)
	}
	return string(entry[headerBytes : headerBytes+k]), string(entry[headerBytes+k : headerBytes+k+v]), version, nil
}

func encode(key, value string) ([]byte, error) {
	if key == "" || len(key)+len(value) > MaxBytes {
		return nil, errTooLong
	}
	return append(append([]byte{byte(len(key)), byte(len(value))}, key...), value...), nil
}
