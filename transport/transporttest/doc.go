// Package transporttest is the conformance suite that every provider of package
// transport must pass. A provider's test file is about ten lines:
//
//	func TestMain(m *testing.M) { transporttest.Main(m) }
//
//	func TestOneProcess(t *testing.T) {
//		transporttest.Run(t, transporttest.Config{URL: "shm:"})
//	}
//
//	func TestTwoProcesses(t *testing.T) {
//		transporttest.Run(t, transporttest.Config{URL: "shm:", Processes: 2})
//	}
//
// # How it works
//
// The suite runs over a pair of ends, a and b. At each end an agent holds a
// transport.Device and executes commands on it: small ones (allocate a region,
// post a request, collect completions) and whole loops that have to run at full
// speed (a stream of writes, a volley of sends with sleeps between). A test is a
// script that gives commands to both ends and checks what comes back, so it
// reads the same wherever the ends are. An agent is either in the process of the
// test, or in a peer process: the test binary, executed again, which takes
// commands on its standard input. Commands are Go functions made with define or
// action; package net/rpc carries their arguments and results.
//
// # What it asks
//
// Skips derive from transport.Capabilities and from where the ends are, and each
// gives its reason. What is advertised has to work. After every test both ends
// must be as they were: nothing in Device.Inventory, no further descriptor, no
// further goroutine. No wait is without a deadline; a hang is a failure that
// describes what was waited for and the state of both ends.
package transporttest
