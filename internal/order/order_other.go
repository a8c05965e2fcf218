//go:build !amd64 || race

package order

import "sync/atomic"

// Publish stores v in w.
func Publish(w *atomic.Uint32, v uint32) { w.Store(v) }

// Publish64 stores v in w.
func Publish64(w *atomic.Uint64, v uint64) { w.Store(v) }
