// Package architecture holds the import rules of the module. Its test is what
// docs/ARCHITECTURE.md draws: an arrow that is not listed here does not compile
// into the main branch, and one that is listed but gone fails, too.
package architecture

// module is the module's path.
const module = "github.com/rfaas-go/rfaas"

// rule allows the packages under From to import those under To.
type rule struct {
	From, To string // folders; "/..." includes what is below
	Why      string
}

// arrows are the imports within the module, tests not counted.
var arrows = []rule{
	{"transport", "internal/handle", "regions are looked up by handle on the hot path"},
	{"transport", "internal/order", "the ownership word is released on the hot path"},
	{"transport/loopback", "transport", "providers implement the interfaces of transport"},
	{"transport/loopback", "internal/pages", "memory for regions"},
	{"transport/shm", "transport", "providers implement the interfaces of transport"},
	{"transport/shm", "internal/handle", "keys are looked up on the hot path"},
	{"transport/shm", "internal/order", "slots are published on the hot path"},
	{"softroce", "transport", "providers implement the interfaces of transport"},
	{"softroce", "softroce/rc", "a queue pair is one of its state machines"},
	{"softroce", "softroce/wire", "packets are sealed and checked on the way out and in"},
	{"softroce", "internal/roceaddr", "the ends of a connection swap RoCE addresses"},
	{"softroce", "internal/handle", "keys are looked up on the hot path"},
	{"softroce", "internal/order", "places are given back on the hot path"},
	{"softroce", "internal/pages", "memory for regions"},
	{"softroce", "internal/params", "reads its URL"},
	{"softroce/rc", "transport", "its requests, completions and statuses are transport's"},
	{"softroce/rc", "softroce/wire", "it speaks in packets"},
	{"softroce/rc", "internal/pages", "what arrives is placed in regions, atomics are done there"},
	{"verbs", "transport", "providers implement the interfaces of transport"},
	{"verbs", "verbs/internal/ibv", "libibverbs"},
	{"verbs", "internal/roceaddr", "the ends of a connection swap RoCE addresses"},
	{"verbs", "internal/handle", "completions name queue pairs by handle"},
	{"verbs", "internal/order", "places are given back on the hot path"},
	{"verbs", "internal/pages", "memory for regions"},
	{"verbs", "internal/params", "reads its URL"},
	{"verbs/internal/ibv", "transport", "requests go to C as they are"},
	{"transport/all", "verbs", "registers every provider; the one place that knows them all"},
	{"transport/all", "softroce", "registers every provider; the one place that knows them all"},
	{"transport/faulty", "transport", "a decorator is a provider around a provider"},
	{"transport/trace", "transport", "a decorator is a provider around a provider"},
	{"transport/all", "transport/...", "registers every provider; the one place that knows them all"},
	{"transport/transporttest", "transport", "the conformance suite sees providers through the front only"},
	{"internal/pairtest", "transport", "two connected ends for the tests of providers and decorators"},
	{"invoke", "transport", "invocation runs over any connection, whatever the provider"},
	{"invoke/runtime/...", "invoke", "what they load is what workers execute"},
	{"invoke/runtime/native", "internal/order", "a word is published at every call"},
	{"invoke/runtime/wasm", "invoke/runtime", "it implements its Module"},
	{"invoke/client", "invoke", "calls over several workers are calls of a Client for each"},
	{"invoke/client", "transport", "connects over the device that it is given"},
	{"invoke/pack", "invoke/runtime", "manifests name runtimes"},
	{"invoke/executor", "invoke", "an executor is a worker in a process of its own"},
	{"invoke/executor", "invoke/executor/confine", "executors are isolated before they load code"},
	{"invoke/executor", "invoke/runtime", "executors load code with the runtimes that their program has"},
	{"invoke/executor", "transport", "executors open a device by its URL"},
	{"invoke/executor", "internal/pages", "words of the progress page"},
	{"invoke/executor", "internal/order", "the progress page is written at every call"},
	{"accounting", "internal/names", "names of tenants and nodes"},
	{"alloc", "internal/names", "names of tenants and nodes"},
	{"alloc/lease", "internal/names", "names of tenants and nodes"},
	{"alloc/agent", "internal/names", "names of tenants and nodes"},
	{"alloc/manager", "internal/names", "names of tenants and nodes"},
	{"alloc", "alloc/lease", "the protocol's client"},
	{"alloc", "internal/link", "messages to agents"},
	{"alloc", "invoke", "connects to leased workers"},
	{"alloc", "invoke/client", "a pool is a client over leased workers"},
	{"alloc", "invoke/pack", "sends the package that agents lack"},
	{"alloc", "transport", "connects over the device that it is given"},
	{"internal/link", "alloc/lease", "carries its messages"},
	{"internal/link", "transport", "over its connections"},
	{"alloc/agent", "alloc/lease", "the protocol's node"},
	{"alloc/agent", "internal/link", "messages to tenants"},
	{"alloc/agent", "invoke", "modes, tokens and refusals of workers"},
	{"alloc/agent", "invoke/executor", "workers are executors"},
	{"alloc/agent", "invoke/executor/confine", "how they are isolated"},
	{"alloc/agent", "invoke/pack", "the node's cache of packages"},
	{"alloc/agent", "transport", "one device for each transport that it offers"},
	{"alloc/lease", "transport", "a piece of a package is named by its remote span"},
	{"accounting", "internal/pages", "words of its pages"},
	{"accounting", "internal/order", "the words are written at every call"},
	{"benchmarks", "transport", "measures transports through the front"},
	{"benchmarks", "invoke", "measures invocations"},
	{"benchmarks", "invoke/executor", "measures functions where they run: in executors"},
	{"benchmarks", "invoke/runtime", "names of runtimes"},
	{"examples/photos/generate", "examples/photos", "a program and the package it is for"},
	{"examples/quickstart/worker", "invoke", "what the README shows"},
	{"examples/quickstart", "invoke/client", "what the README shows"},
	{"examples/quickstart", "transport/...", "what the README shows"},
	{"examples/quickstart/worker", "transport/...", "what the README shows"},
	{"cmd/rfaas/...", "transport/...", "programs wire everything"},
	{"cmd/rfaas/...", "softroce/...", "programs wire everything: rfaas roce dump decodes captures"},
	{"cmd/rfaas/internal/pingpong", "internal/roceaddr", "translates set-up messages for a tool that has its own"},
	{"cmd/rfaas/...", "invoke/...", "programs wire everything"},
	{"cmd/rfaas/...", "alloc/...", "programs wire everything"},
	{"cmd/rfaas/...", "benchmarks", "programs wire everything"},
	{"cmd/rfaas/...", "examples/...", "the functions that come with the program"},
	{"cmd/rfaas/...", "cmd/rfaas/...", "the program's own parts"},
}

// external says which modules beyond the standard library the packages under
// From may reach, directly or through others. What is not listed may reach none.
var external = []rule{
	{"transport/...", "golang.org/x/sys", "an embedder of a transport must not pull in the rest; x/sys has the system calls"},
	{"invoke/...", "golang.org/x/sys", "as transport, which it builds on"},
	{"alloc/...", "golang.org/x/sys", "as transport, which it imports"},
	{"alloc/agent", "github.com/landlock-lsm/go-landlock", "confine's"},
	{"alloc/agent", "kernel.org/pub/linux/libs/security/libcap/psx", "confine's"},
	{"internal/link", "golang.org/x/sys", "as transport, which it imports"},
	{"internal/pages", "golang.org/x/sys", "maps memory"},
	{"internal/pairtest", "golang.org/x/sys", "as transport, whose ends it connects"},
	{"softroce/...", "golang.org/x/sys", "as transport, which it is a provider of"},
	{"softroce/rxe", "github.com/vishvananda/netlink", "makes links of the kernel's driver over RDMA netlink; for programs, no transport imports it"},
	{"softroce/rxe", "github.com/vishvananda/netns", "netlink imports it"},
	{"invoke/runtime/wasm", "github.com/tetratelabs/wazero", "runs WebAssembly"},
	{"invoke/executor", "github.com/landlock-lsm/go-landlock", "confine's"},
	{"invoke/executor", "kernel.org/pub/linux/libs/security/libcap/psx", "confine's"},
	{"invoke/executor/confine", "github.com/landlock-lsm/go-landlock", "limits on files"},
	{"invoke/executor/confine", "kernel.org/pub/linux/libs/security/libcap/psx", "go-landlock imports it"},
	{"accounting", "golang.org/x/sys", "maps pages, locks and syncs ledgers"},
	{"verbs/...", "golang.org/x/sys", "as transport, which it is a provider of"},
}

// unbounded are the packages for programs, free to use what they need.
var unbounded = []string{"benchmarks/...", "cmd/...", "examples/..."}
