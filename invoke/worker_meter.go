package invoke

import "time"

// Meter is told of every call of a function that a worker has executed for one client,
// for accounting. It is called on the worker's own goroutine, before the reply is posted:
// a few nanoseconds are all it should take.
type Meter interface {
	Executed(Execution)
}

// Execution is one executed call.
type Execution struct {
	Function  string // its name
	Status    Status
	BytesIn   int           // of the input
	BytesOut  int           // of the result
	Execution time.Duration // in the function
	Queue     time.Duration // from the worker's noticing the request to its start
	Polled    time.Duration // that the worker polled before it, since its last call
}
