package executor

import (
	"syscall"
	"unsafe"
)

// resetSignal restores the default action of a signal, which Go's runtime has replaced.
func resetSignal(s syscall.Signal) {
	var action [4]uint64 // struct sigaction of the kernel: SIG_DFL, no flags
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
}
