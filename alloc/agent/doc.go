// Package agent is what offers a node's cores: it grants leases out of its own stock,
// without a manager, and runs the processes that execute the calls of their tenants.
//
//	Agent    stock, sessions of tenants, workers
//	Program  code that workers run: the agent's own, or a package's
//
// # One address
//
// An agent listens at any number of addresses. At each it takes tenants, which speak the
// protocol of alloc/lease, and clients of workers, which present a token of a lease and are
// passed on to the worker's process. Those processes listen nowhere.
//
// # Workers
//
// A lease is granted before anything runs. The process of a worker starts when its first
// client comes, from a spare if there is one, on the cores of the lease. Each further
// attempt to connect to the worker (lease.Token) gets a process of its own, after the end
// of the one before.
//
// # The end of a lease
//
// A lease ends with a fence: its processes are killed and reaped, and their control groups
// empty, before its cores are stock again. If that fails, the cores stay out of stock, and
// the log says so.
package agent
