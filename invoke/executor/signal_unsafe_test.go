package executor

import (
	"syscall"
	"unsafe"
)

// resetSignal undoes what Go's runtime has made of a signal.
func resetSignal(s syscall.Signal) {
	var action [4]uint64 // struct sigaction of the kernel: SIG_DFL, no flags
	syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
}
