// Package executor runs functions in processes of their own: a Supervisor, in the
// process of whoever offers a machine, starts executors, notices how each ends and
// ends those that overstay; an executor is the same program again, which calls
// Host.Run.
//
// # Why a process
//
// Code that users bring can do anything to the process it runs in. An executor
// serves one tenant, holds the connection to its client itself (a hand-over to
// another process would cost more than a call), and nothing of anybody else.
// When it crashes, its connection ends, and only its. The Supervisor knows why,
// as a Fate; a Fate is an *invoke.Error for the call that was running.
//
// # Between supervisor and executor
//
// The executor's descriptor 3 is one end of a Unix socket pair. Down come
// commands, JSON: a Setup, which transports to open, and an Assignment, what to
// load, with the code as a sealed memory file; up comes an answer to each. Then
// clients come down, each as the stream over which it was accepted. The pair's end
// asks the executor to end. Descriptor 4 is the progress page, see progress. Descriptor 5
// is a pipe for what the executor logs, see claims. What functions print goes to another
// one. The supervisor reads both, whatever comes, up to a limit.
//
// A spare executor has had its Setup and waits for its Assignment: what costs
// time, the start of the process and its devices, is done.
//
// # Clients
//
// An executor listens nowhere. In the supervisor's process Executor.Dial connects to
// it; others are accepted by whoever has the address, see alloc/agent, which hands those
// with the executor's token to Executor.Admit.
//
// No executor outlives its supervisor's process, however that ends: the kernel
// kills it (PR_SET_PDEATHSIG), and its socket ends.
package executor
