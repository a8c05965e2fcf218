package confine

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// allowedHere are the older forms of allowedCalls, and calls that only this architecture
// has.
var allowedHere = []uint32{
	unix.SYS_ARCH_PRCTL, unix.SYS_TIME, unix.SYS_PAUSE, unix.SYS_ALARM, unix.SYS_GETPGRP, unix.SYS_GETRLIMIT,
	unix.SYS_OPEN, unix.SYS_CREAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_NEWFSTATAT, unix.SYS_ACCESS, unix.SYS_READLINK, unix.SYS_GETDENTS,
	unix.SYS_UNLINK, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_RENAME, unix.SYS_LINK, unix.SYS_SYMLINK,
	unix.SYS_PIPE, unix.SYS_DUP2, unix.SYS_POLL, unix.SYS_SELECT, unix.SYS_EVENTFD, unix.SYS_SIGNALFD,
	unix.SYS_EPOLL_CREATE, unix.SYS_EPOLL_WAIT,
}

// ownersHere are the older forms of ownersCalls.
var ownersHere = []uint32{unix.SYS_CHMOD, unix.SYS_UTIME, unix.SYS_UTIMES, unix.SYS_FUTIMESAT}

// programsHere are the older forms of programCalls.
var programsHere = []uint32{unix.SYS_FORK, unix.SYS_VFORK}

var refusedHere = []uint32{
	unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_MKNOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_MODIFY_LDT,
	unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_INOTIFY_INIT, unix.SYS_USELIB, unix.SYS_CREATE_MODULE,
}
