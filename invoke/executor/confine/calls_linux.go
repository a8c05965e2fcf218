//go:build amd64 || arm64

package confine

import "golang.org/x/sys/unix"

// allowedCalls are harmless, or no more harmful than the descriptors and paths that a process
// can use them with: those that Go's runtime, C libraries and the transports need.
var allowedCalls = []uint32{
	// Memory.
	unix.SYS_BRK, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE,
	unix.SYS_MSYNC, unix.SYS_MINCORE, unix.SYS_MLOCK, unix.SYS_MLOCK2, unix.SYS_MUNLOCK,
	unix.SYS_MEMFD_CREATE, unix.SYS_MEMBARRIER,
	// Threads of this process only, see conditionalCalls.
	unix.SYS_FUTEX, unix.SYS_FUTEX_WAITV, unix.SYS_FUTEX_WAIT, unix.SYS_FUTEX_WAKE, unix.SYS_FUTEX_REQUEUE,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_SET_TID_ADDRESS, unix.SYS_SCHED_YIELD,
	unix.SYS_SCHED_GETAFFINITY, unix.SYS_SCHED_GETPARAM, unix.SYS_SCHED_GETSCHEDULER,
	unix.SYS_SCHED_GET_PRIORITY_MAX, unix.SYS_SCHED_GET_PRIORITY_MIN, unix.SYS_GETCPU,
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_WAIT4, unix.SYS_WAITID,
	// Signals.
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPENDING,
	unix.SYS_RT_SIGSUSPEND, unix.SYS_RT_SIGTIMEDWAIT, unix.SYS_SIGALTSTACK, unix.SYS_SIGNALFD4, unix.SYS_RESTART_SYSCALL,
	// Time.
	unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_NANOSLEEP, unix.SYS_GETTIMEOFDAY,
	unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_GETTIME, unix.SYS_TIMER_GETOVERRUN, unix.SYS_TIMER_DELETE,
	unix.SYS_TIMERFD_CREATE, unix.SYS_TIMERFD_SETTIME, unix.SYS_TIMERFD_GETTIME,
	unix.SYS_SETITIMER, unix.SYS_GETITIMER, unix.SYS_TIMES,
	// Identity and resources.
	unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETTID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
	unix.SYS_GETRESUID, unix.SYS_GETRESGID, unix.SYS_GETGROUPS, unix.SYS_GETPGID, unix.SYS_GETSID, unix.SYS_CAPGET,
	unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRUSAGE, unix.SYS_GETRANDOM,
	// Descriptors.
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_PWRITE64,
	unix.SYS_PREADV, unix.SYS_PWRITEV, unix.SYS_PREADV2, unix.SYS_PWRITEV2, unix.SYS_LSEEK, unix.SYS_CLOSE, unix.SYS_CLOSE_RANGE,
	unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_PIPE2, unix.SYS_EVENTFD2, unix.SYS_SENDFILE, unix.SYS_SPLICE, unix.SYS_TEE,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_PPOLL, unix.SYS_PSELECT6,
	// Open sockets. Accepting is for the listener that the executor has.
	unix.SYS_ACCEPT, unix.SYS_ACCEPT4, unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_RECVFROM, unix.SYS_RECVMSG,
	unix.SYS_RECVMMSG, unix.SYS_SHUTDOWN, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_GETSOCKOPT, unix.SYS_SETSOCKOPT,
	// Files. Landlock and the user id decide which ones.
	unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_FSTAT, unix.SYS_STATX, unix.SYS_STATFS, unix.SYS_FSTATFS, unix.SYS_FACCESSAT,
	unix.SYS_FACCESSAT2, unix.SYS_READLINKAT, unix.SYS_GETDENTS64, unix.SYS_GETCWD, unix.SYS_CHDIR, unix.SYS_FCHDIR, unix.SYS_UMASK,
	unix.SYS_FTRUNCATE, unix.SYS_FALLOCATE, unix.SYS_FADVISE64, unix.SYS_READAHEAD, unix.SYS_FSYNC, unix.SYS_FDATASYNC,
	unix.SYS_FLOCK, unix.SYS_COPY_FILE_RANGE, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
}

// ownersCalls change attributes of a file, which its owner may do whatever Landlock says of
// the path: they are allowed to processes with a user of their own.
var ownersCalls = []uint32{unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_UTIMENSAT}

// cloneNamespaces are the flags of clone that make namespaces.
const cloneNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// otherSockets are the bits of the types of sockets beside that of streams.
const otherSockets = 0xf &^ unix.SOCK_STREAM

// Requests of ioctl that set who gets a descriptor's signals.
const (
	fioSetOwn   = 0x8901
	siocSetPgrp = 0x8902
)

// enclosedCalls are allowed to a process with namespaces of its own, which name only what is
// in them.
var enclosedCalls = []uint32{unix.SYS_SCHED_SETAFFINITY}

// programCalls are allowed to a process with namespaces of its own that may start programs.
var programCalls = append([]uint32{
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_SETPGID, unix.SYS_SETSID, unix.SYS_PRLIMIT64, unix.SYS_SETRLIMIT,
}, programsHere...)

// programRules are those of programCalls with conditions: new processes, but no namespaces;
// a signal for them when their parent ends.
var programRules = []rule{
	{unix.SYS_CLONE, []condition{hasNot(0, cloneNamespaces)}},
	{unix.SYS_PRCTL, []condition{equals(0, unix.PR_SET_PDEATHSIG)}},
}

// conditionalCalls are allowed only with some arguments.
func conditionalCalls(pid uint32) []rule {
	rules := []rule{
		// New threads, but no new processes. The flags of clone3 are in memory, where a
		// filter cannot read them: it fails with ENOSYS, and libraries use clone.
		{unix.SYS_CLONE, []condition{has(0, unix.CLONE_THREAD), hasNot(0, cloneNamespaces)}},
		// Signals to this process only: raise and abort, Go's preemption.
		{unix.SYS_KILL, []condition{equals(0, pid)}},
		{unix.SYS_TGKILL, []condition{equals(0, pid)}},
		{unix.SYS_RT_SIGQUEUEINFO, []condition{equals(0, pid)}},
		{unix.SYS_RT_TGSIGQUEUEINFO, []condition{equals(0, pid)}},
		// 0 is the calling thread or process.
		{unix.SYS_SCHED_SETAFFINITY, []condition{equals(0, 0)}},
		{unix.SYS_PRLIMIT64, []condition{equals(0, 0)}},
		{unix.SYS_PRLIMIT64, []condition{equals(0, pid)}},
		// Devices need it, but no program needs to insert characters into a terminal, or
		// signals for descriptors, which the kernel sends to any process of the user.
		{unix.SYS_IOCTL, []condition{differs(1, unix.TIOCSTI), differs(1, unix.TIOCLINUX), differs(1, unix.TIOCSCTTY), differs(1, fioSetOwn), differs(1, siocSetPgrp)}},
		// Pairs that are connected, which event loops wake themselves with: they have no
		// address, and take none.
		{unix.SYS_SOCKETPAIR, []condition{equals(0, unix.AF_UNIX), has(1, unix.SOCK_STREAM), hasNot(1, otherSockets)}},
		// Named pipes, but no devices.
		{unix.SYS_MKNODAT, []condition{has(2, unix.S_IFIFO), hasNot(2, unix.S_IFMT&^unix.S_IFIFO)}},
		{unix.SYS_FCNTL, []condition{
			differs(1, unix.F_SETOWN), differs(1, unix.F_SETOWN_EX), differs(1, unix.F_SETSIG), differs(1, unix.F_NOTIFY), differs(1, unix.F_SETLEASE),
		}},
	}
	for _, option := range []uint32{
		unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_SET_VMA, unix.PR_GET_DUMPABLE, unix.PR_GET_NO_NEW_PRIVS,
		unix.PR_GET_SECCOMP, unix.PR_CAPBSET_READ, unix.PR_GET_PDEATHSIG, unix.PR_SET_TIMERSLACK, unix.PR_GET_TIMERSLACK,
	} {
		rules = append(rules, rule{unix.SYS_PRCTL, []condition{equals(0, option)}})
	}
	return rules
}

// refusedCalls fail with EPERM instead of ENOSYS: code may call them on purpose, and should
// learn that it may not, rather than that it cannot.
var refusedCalls = []uint32{
	unix.SYS_SOCKET, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN,
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_TKILL, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_PIDFD_GETFD,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE, unix.SYS_KCMP,
	unix.SYS_GET_ROBUST_LIST, unix.SYS_MOVE_PAGES, unix.SYS_MIGRATE_PAGES,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_SECCOMP,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_USERFAULTFD, unix.SYS_PERSONALITY,
	unix.SYS_IO_SETUP, unix.SYS_IO_SUBMIT, unix.SYS_IO_DESTROY, unix.SYS_IO_CANCEL, unix.SYS_IO_GETEVENTS, unix.SYS_IO_PGETEVENTS,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN,
	unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID,
	unix.SYS_SETFSUID, unix.SYS_SETFSGID, unix.SYS_SETGROUPS, unix.SYS_CAPSET, unix.SYS_SETSID, unix.SYS_SETPGID,
	unix.SYS_SETRLIMIT, unix.SYS_SETPRIORITY, unix.SYS_SCHED_SETSCHEDULER, unix.SYS_SCHED_SETPARAM, unix.SYS_SCHED_SETATTR, unix.SYS_IOPRIO_SET,
	unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK,
	unix.SYS_INOTIFY_INIT1, unix.SYS_QUOTACTL, unix.SYS_ACCT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_REBOOT, unix.SYS_SYNC, unix.SYS_SYSLOG,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_SEMGET, unix.SYS_MSGGET, unix.SYS_MQ_OPEN, unix.SYS_MEMFD_SECRET,
	unix.SYS_TRUNCATE, // Landlock handles it only since Linux 6.2; ftruncate of open files is allowed
	unix.SYS_MLOCKALL, unix.SYS_VHANGUP, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_VMSPLICE,
}
