// Package agent is what offers a node's cores: it grants leases out of its own stock,
// without asking anybody, and runs the processes that execute the calls of their tenants.
//
//	Agent    stock, sessions of tenants, workers
//	Program  code that workers run: the agent's own, or a package's
//
// # One address
//
// An agent listens at any number of addresses, and at each of them for all: for tenants,
// who speak the protocol of alloc/lease, and for clients of workers, who present a token
// of it and are handed on to the worker's process. Those processes listen nowhere.
//
// # Workers
//
// A lease is granted before anything runs. The process of a worker starts when its first
// client comes, from a spare if there is one, on the cores of the lease. Each further
// connection to the worker gets a process of its own, after the end of the one before.
//
// # The end of a lease
//
// is a fence: its processes are killed and reaped, and their control groups empty,
// before its cores are stock again. If that cannot be had, the cores stay out of stock and
// the log says so.
package agent
