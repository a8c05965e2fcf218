//go:build amd64 && !race

package order

import (
	"sync/atomic"
	"unsafe"
)

// Publish stores v in w.
func Publish(w *atomic.Uint32, v uint32) { *(*uint32)(unsafe.Pointer(w)) = v }

// Publish64 stores v in w.
func Publish64(w *atomic.Uint64, v uint64) { *(*uint64)(unsafe.Pointer(w)) = v }
