package confine

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// allowedHere are calls that only this architecture has, or names in its own way.
var allowedHere = []uint32{unix.SYS_NEWFSTATAT, unix.SYS_GETRLIMIT}

var ownersHere []uint32

var programsHere []uint32

var refusedHere []uint32
