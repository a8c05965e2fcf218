//go:build !amd64 || purego

package wire

// hash/crc32 has instructions of other processors.
const folds = false

func registerBlocks(uint32, *byte, int) uint32 { panic("there are no instructions for it") }

func registerCopyBlocks(uint32, *byte, *byte, int) uint32 {
	panic("there are no instructions for it")
}
