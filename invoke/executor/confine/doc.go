// Package confine isolates processes that run untrusted code: shared objects inside a Go
// process that holds the connection to its one tenant.
//
// A supervisor has one Host, which prepares processes. A process restricts itself with
// Enter, after it has opened what it needs and before it loads such code. A Report says
// which measures were applied, which were not, and why. It is an error if a measure that the
// Policy requires cannot be applied.
//
// # Order of calls
//
//	supervisor                                     executor, the same program
//	h, err := NewHost(HostConfig{})
//	p, err := h.Prepare(cmd, policy)
//	err = p.Start() // instead of cmd.Start
//	                                               policy, err := Inherited() // first of all
//	                                               opens its device, listens
//	                                               report, err := Enter(policy)
//	p.Entered(report)
//	p.SetMemory(n) // of the assignment
//	                                               loads the code, serves
//	cmd.Wait() or p.Kill()
//	usage, err := p.Close()
//	h.Close()
//
// The process is created in its control groups, so none of it runs outside of them. Enter
// checks that it is in them.
//
// # What applies where
//
//   - As root: a uid of the Host's pool, which no other process has at the same
//     time. Limits do not bind root. Without root, the process keeps the uid.
//   - Namespaces for users, mounts, processes and SysV IPC, where the kernel allows
//     them: the process cannot see or signal others, its end ends all it started, and
//     its root directory is its own: the system's programs, libraries and data, settings
//     that libraries read, Policy.Paths and Policy.Folder, and a bounded file system in
//     memory for /tmp and /dev/shm. docs/SECURITY.md lists what is there. Not for the
//     network: an abstract socket's address would be another one.
//   - Control groups, version 2 or 1, or both: memory without swap, number of
//     tasks, processor time, and which processors.
//   - With Policy.Egress, for root, a packet filter of the process's control group of
//     version 2: its sockets send UDP datagrams to the addresses and ports that the
//     supervisor has allowed (Process.AllowPeer), and nothing else. Sockets that the
//     process did not create, such as streams that it was passed, are not filtered.
//   - Landlock: of what there is, the process can read and execute libraries, data and
//     settings, the programs too with Policy.Programs, and what of Policy.Paths and
//     Policy.Folder is there; of /proc it can read figures of its own and a few of the
//     kernel's. It can write the private /tmp and /dev/shm, devices such as /dev/null, and
//     what of Policy.Paths is Writable. Open files stay accessible, and memory files by
//     their name in /proc/self/fd.
//   - A seccomp filter on all threads: a list of allowed calls, as in container
//     engines. Known but refused calls fail with EPERM, the rest with ENOSYS, so that
//     libraries fall back. Calls of another architecture's kernel interface end the
//     process. It cannot create sockets with addresses, namespaces or mounts; nor start
//     programs or signal others, unless Policy.Programs. Open sockets keep working.
//
// A process with Policy.Verbs opens its devices under Landlock, so it keeps the right to
// open InfiniBand's: its code can create queue pairs of its own and reach whatever the
// fabric lets it. No packet filter sees what a device sends.
//
// None of this prevents the process from wasting the limits it was given, or from using all
// that the tenant's connection allows. Without Policy.Egress, or where it cannot be applied,
// it can send to any address from an unconnected datagram socket that is open; a packet
// filter of the machine can prevent that.
package confine
