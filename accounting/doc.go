// Package accounting defines the words in which usage is metered, the ledgers in which
// it is kept, and the bills that are made from a ledger.
//
// # Words
//
// Usage is seven numbers of 64 bits, the quantities. Each is cumulative: it counts
// from the beginning of what it is of, and never goes backward. The units:
//
//	core_ns         cores allocated x time, in nanoseconds: 2 cores for 3 s are 6e9
//	memory_mib_ms   memory allocated x time, in MiB x milliseconds
//	polled_ns       time in which workers polled for calls, in nanoseconds
//	executed_ns     time in which functions ran, in nanoseconds
//	invocations     calls
//	in_bytes        bytes of inputs
//	out_bytes       bytes of results
//
// # Pages
//
// An executor writes its words into a page, a file of 4096 bytes in a folder of the
// agent, so that they outlive both; of an agent without a folder it is in memory. A page
// is of one worker of one lease. It has one
// writer, which maps it as a Page; each of its words is written by that one only. The
// agent makes the file and reads it as a PageFile, without mapping it: code of a
// tenant may write any byte of its page and cut the file, and a program that has
// mapped a file dies when it reads where the file was cut. What a page says is
// believed only if the rest of it is as it was made, and its header is what the
// file's name says, which a tenant cannot change.
//
// # Ledgers
//
// A Ledger is a file to which entries are appended, each with the cumulative usage of
// a lease, or of a tenant as a whole, on a node in one of its agent's epochs (lives).
// Entries are absolute: one that is lost is made up for by the next one, and one that
// comes twice counts once. The agent keeps a ledger, and the manager one of the same
// form. One process appends; any number read meanwhile.
//
// # Bills
//
// MakeBill adds up what was used in a period. Usage that a tenant's own code says of
// itself is marked as claimed, all the way, and never added to what was measured.
package accounting
