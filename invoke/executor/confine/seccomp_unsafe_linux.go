//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filterSyscalls loads the filter for all threads. ownUser says whether the process has a
// user of its own, enclosed whether it has namespaces.
func filterSyscalls(p *Policy, ownUser, enclosed bool) (string, error) {
	allowed, refused := slices.Concat(p.Syscalls, allowedCalls, allowedHere), slices.Concat(refusedCalls, refusedHere)
	rules := conditionalCalls(uint32(os.Getpid()))
	if enclosed {
		allowed = append(allowed, enclosedCalls...)
	}
	if p.Programs {
		allowed, rules = append(allowed, programCalls...), append(rules, programRules...)
	}
	if owners := slices.Concat(ownersCalls, ownersHere); ownUser {
		allowed = append(allowed, owners...)
	} else {
		refused = append(refused, owners...)
	}
	program := assemble(auditArch, allowed, rules, refused)
	if len(program) > maxInstructions {
		return "", fmt.Errorf("the filter has %d instructions, more than %d: list fewer in Policy.Syscalls", len(program), maxInstructions)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// For this thread; the filter sets it for the others.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return "", fmt.Errorf("PR_SET_NO_NEW_PRIVS: %w", err)
	}
	prog := &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	tid, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(prog)))
	switch {
	case errors.Is(e, unix.ENOSYS) || errors.Is(e, unix.EINVAL):
		return "", fmt.Errorf("the kernel has no filters for system calls (%w): it needs CONFIG_SECCOMP_FILTER", e)
	case e != 0:
		return "", fmt.Errorf("seccomp: %w", e)
	case tid != 0:
		return "", fmt.Errorf("thread %d has another filter already", tid)
	}
	return fmt.Sprintf("%d instructions", len(program)), nil
}
