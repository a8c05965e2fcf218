//go:build amd64 || arm64

package confine

import "golang.org/x/sys/unix"

// rule allows a system call if all conditions hold. They check the lower half of an argument.
// The kernel uses no more of those that have a condition here: numbers of 32 bits, and flags
// below 1<<32.
type rule struct {
	number uint32
	when   []condition
}

type condition struct {
	argument int
	test     uint16 // BPF_JEQ or BPF_JSET
	value    uint32
	want     bool // result of the test
}

func equals(argument int, value uint32) condition {
	return condition{argument, unix.BPF_JEQ, value, true}
}
func differs(argument int, value uint32) condition {
	return condition{argument, unix.BPF_JEQ, value, false}
}
func has(argument int, bits uint32) condition {
	return condition{argument, unix.BPF_JSET, bits, true}
}
func hasNot(argument int, bits uint32) condition {
	return condition{argument, unix.BPF_JSET, bits, false}
}

// Offsets in struct seccomp_data.
const (
	numberOffset   = 0
	archOffset     = 4
	argumentOffset = 16
)

// maxInstructions is the kernel's limit.
const maxInstructions = 4096

// x32Bit marks system calls of amd64's third kernel interface, which has the architecture
// number of the first.
const x32Bit = 0x4000_0000

// assemble makes the filter. Calls with a rule that holds are allowed. Calls that are refused,
// or whose rules do not hold, fail with EPERM; unknown ones with ENOSYS.
func assemble(arch uint32, allowed []uint32, rules []rule, refused []uint32) []unix.SockFilter {
	statement := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	jump := func(test uint16, k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: k, Jt: uint8(yes), Jf: uint8(no)}
	}
	load := func(offset uint32) unix.SockFilter {
		return statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, offset)
	}
	end := func(action uint32) unix.SockFilter { return statement(unix.BPF_RET|unix.BPF_K, action) }

	program := []unix.SockFilter{
		load(archOffset),
		jump(unix.BPF_JEQ, arch, 1, 0),
		end(unix.SECCOMP_RET_KILL_PROCESS),
		load(numberOffset),
	}
	if arch == unix.AUDIT_ARCH_X86_64 {
		program = append(program,
			jump(unix.BPF_JGE, x32Bit, 0, 1),
			end(unix.SECCOMP_RET_KILL_PROCESS))
	}
	for _, number := range allowed {
		program = append(program, jump(unix.BPF_JEQ, number, 0, 1), end(unix.SECCOMP_RET_ALLOW))
	}
	for _, r := range rules {
		// Two instructions for each condition, two for the end.
		n := len(r.when)
		program = append(program, jump(unix.BPF_JEQ, r.number, 0, 2*n+2))
		for i, c := range r.when {
			program = append(program, load(argumentOffset+8*uint32(c.argument)))
			toEnd := 2*(n-i-1) + 1 // over the remaining conditions and the permission
			if c.want {
				program = append(program, jump(c.test, c.value, 0, toEnd))
			} else {
				program = append(program, jump(c.test, c.value, toEnd, 0))
			}
		}
		program = append(program, end(unix.SECCOMP_RET_ALLOW), load(numberOffset))
		refused = append(refused, r.number)
	}
	for _, number := range refused {
		program = append(program, jump(unix.BPF_JEQ, number, 0, 1), end(unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM)))
	}
	return append(program, end(unix.SECCOMP_RET_ERRNO|uint32(unix.ENOSYS)))
}
