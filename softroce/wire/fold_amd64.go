//go:build !purego

package wire

import "golang.org/x/sys/cpu"

// folds reports whether this processor has the instructions of registerBlocks.
var folds = cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VPCLMULQDQ && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSE41

// registerBlocks shifts n bytes into the register: a multiple of blockBytes, and at
// least foldBytes.
//
//go:noescape
func registerBlocks(r uint32, src *byte, n int) uint32

// registerCopyBlocks is registerBlocks, and copies the bytes to dst, which does not
// overlap them.
//
//go:noescape
func registerCopyBlocks(r uint32, dst, src *byte, n int) uint32
