// Package executor runs functions in processes of their own. A Supervisor, in the
// process that offers a machine, starts executors, observes how each ends, and kills
// those that exceed their limits. An executor is the same program again, which calls
// Host.Run.
//
// # Why a process
//
// Code that users bring can do anything to the process it runs in. An executor
// serves one tenant, and has nothing of other tenants. It holds the connection to its
// client itself: to forward a call to another process would cost more than the call.
// When it crashes, only its own connection ends. The Supervisor reports why as a Fate;
// Fate.Err is the result of the call that was running.
//
// # Between supervisor and executor
//
// The executor's descriptor 3 is one end of a Unix socket pair. The supervisor sends
// commands, in JSON: a Setup (which transports to open) and an Assignment (what to
// load, with the code as a sealed memory file). The executor answers each. Then the
// supervisor passes clients, each as the stream on which it was accepted. When the
// supervisor closes the pair, the executor ends. Descriptor 4 is the progress page, see
// progress. Descriptor 5 is a pipe for the executor's log, see claims. What functions
// print goes to another pipe. The supervisor reads both pipes, up to a limit.
//
// A spare executor has had its Setup and waits for its Assignment. What takes time is
// done: the start of the process, and opening its devices.
//
// # Clients
//
// An executor listens nowhere. In the supervisor's process, Executor.Dial connects to
// it. A program that accepts other clients hands those with the executor's token to
// Executor.Admit; see alloc/agent.
//
// No executor outlives its supervisor's process, however that ends: the kernel
// kills it (PR_SET_PDEATHSIG), and its socket is closed.
package executor
