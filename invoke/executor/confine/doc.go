// Package confine isolates processes that run code nobody vouches for: shared
// objects inside a Go process that holds the connection to its one tenant.
//
// A supervisor has one Host, which prepares processes; a process restricts itself
// with Enter, when it has opened what it needs and before it loads such code.
// What was applied is a Report, what was not as well, with the reason; a measure
// that a Policy requires and that cannot be applied is an error.
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
// The process is born in its control groups, so none of it runs outside them; it
// need not be told to go on. Enter looks whether it is in them all the same.
//
// # What applies where
//
//   - As root: a uid of the Host's pool, which no other process has at the same
//     time. Limits do not bind root. Without root, the process keeps the uid.
//   - Namespaces for users, mounts, processes and SysV IPC, where the kernel lets:
//     the process cannot see or signal others, its end ends all it started, and its
//     /tmp is a bounded file system in memory, its /var/tmp and /dev/shm are empty.
//     Not for the network: an abstract socket's address would be another one.
//   - Control groups, version 2 or 1, or both: memory without swap, number of
//     tasks, processor time.
//   - A packet filter of the process's control group of version 2, for root, with
//     Policy.Egress: its sockets send UDP datagrams to the addresses and ports that the
//     supervisor has allowed (Process.AllowPeer), and nothing else. Sockets that it did not
//     make itself, such as streams that came to it, are not under it.
//   - Landlock: files to read and execute are the system's libraries and
//     Policy.ReadPaths, to write the private /tmp and Policy.WritePaths. Files that
//     are open, and memory files by their name in /proc/self/fd, stay accessible.
//   - A seccomp filter on all threads: a list of what is allowed, as container
//     engines have it. What is known and refused fails with EPERM, the rest with
//     ENOSYS, so that libraries fall back; calls of another architecture's kernel
//     interface end the process. There are no new sockets, processes, programs,
//     namespaces, mounts, or signals to others. Sockets that are open go on working.
//
// A process with Policy.Verbs opens its devices under Landlock, so it keeps the right to
// open InfiniBand's: its code can make queue pairs of its own and talk to whoever the
// fabric lets it. No packet filter sees what a device sends.
//
// What none of this prevents: without Policy.Egress, or where it cannot be applied,
// sending from an unconnected datagram socket that is open to any address (a packet
// filter of the machine's can); using all that the tenant's connection allows, and wasting
// the limits it was given.
package confine
