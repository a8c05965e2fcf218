package lease

import "fmt"

// Reason says why a lease was refused, or has ended.
type Reason uint16

// The reasons. Those of a Refusal first.
const (
	NoReason Reason = iota
	NoCores
	NoMemory
	OverQuota
	NodeDraining
	TooMuch // more than the node has in all
	Malformed
	CodeRefused
	CodeComing // it is being looked for, or sent by another session: ask again
	Unknown    // there is no such lease, or it is another tenant's

	// Why a lease ended, or is about to.
	Released
	Expired
	Revoked   // the owner of the node wants the cores back
	AgentEnds // the agent is being ended

	// Why the process of a worker ended.
	WorkerDied
	WorkerOverran     // a function went past the room for its result
	WorkerOutOfMemory // it used up the memory of its lease or package
	WorkerOverstayed  // a call took longer than its package allows

	// Stranger is the code of the rejection of a peer that is not authenticated.
	Stranger

	// WorkerOverflowed is another of those why the process of a worker ended: a function used
	// up its stack.
	WorkerOverflowed

	reasonCount
)

var reasonNames = [reasonCount]string{
	"none", "no free cores", "no free memory", "over the tenant's quota", "the node is draining", "more than the node has",
	"malformed request", "the code cannot be run", "the code is on its way", "no such lease",
	"released", "expired", "revoked by the node's owner", "the agent ends", "the worker's process ended", "a function went past the room for its result", "the worker used up its memory", "a call took too long",
	"the tenant is not authenticated", "a function used up its stack",
}

// String is the reason for people.
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint16(r))
}

// Passing says whether asking this node again may help.
func (r Reason) Passing() bool {
	return r == NoCores || r == NoMemory || r == OverQuota || r == CodeComing
}

// RefusedError is a request that was refused.
type RefusedError struct {
	Node   string // the agent's name
	Reason Reason
	Free   Capacity
	Text   string // what else the agent said
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("node %s refuses a lease: %v", e.Node, e.Reason)
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Reason == NoCores || e.Reason == NoMemory {
		s += fmt.Sprintf("; free: %v", e.Free)
	}
	return s
}
