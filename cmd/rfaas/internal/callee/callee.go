// Package callee is a function in an executor of its own, with the connection to it:
// what a command that calls functions has.
package callee

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

// Config says what to start.
type Config struct {
	Supervisor *executor.Supervisor
	Order      executor.Order // its slots and what goes beside them are Start's to choose
	Function   string         // one of the order's
	Device     *transport.Device
	Mode       invoke.Mode // how the caller waits
	// InputBytes and ResultBytes are what there is room for.
	InputBytes, ResultBytes int
}

// MaxBytes is the longest input, and the longest result, that a call can have.
const MaxBytes = 1 << 30

// Callee is a function in an executor, and the connection to it. One goroutine uses it.
type Callee struct {
	Executor *executor.Executor
	client   *invoke.Client
	function *invoke.Handle
	buffer   *invoke.Buffer
}

// setUpTimeout bounds the connection's set-up.
const setUpTimeout = 30 * time.Second

// Start starts an executor and connects to it.
func Start(ctx context.Context, cfg Config) (*Callee, error) {
	cfg.makeRoom()
	e, err := cfg.Supervisor.Start(ctx, cfg.Order)
	if err != nil {
		return nil, err
	}
	c := &Callee{Executor: e}
	if err := c.connect(ctx, cfg); err != nil {
		err = c.Explain(err)
		c.End(0)
		return nil, fmt.Errorf("executor (process %d): %w", e.PID(), err)
	}
	return c, nil
}

const (
	// mostSlotBytes is the largest slot: what can be longer goes beside it.
	mostSlotBytes = 1 << 20
	pageBytes     = 4 << 10
)

// makeRoom sets an executor up for one call at a time, with room for the input and the
// result and for no more.
func (cfg *Config) makeRoom() {
	a := &cfg.Order.Assignment
	a.Slots, a.SlotBytes, a.PayloadBytes = 1, pageBytes, 0
	for _, n := range []int{cfg.InputBytes, cfg.ResultBytes} {
		n = (n + pageBytes - 1) &^ (pageBytes - 1)
		a.SlotBytes = max(a.SlotBytes, min(n, mostSlotBytes))
		if n > mostSlotBytes {
			a.PayloadBytes += int64(n)
		}
	}
}

func (c *Callee) connect(ctx context.Context, cfg Config) (err error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	slotBytes := cfg.Order.Assignment.SlotBytes
	c.client, err = c.Executor.Dial(ctx, cfg.Device, invoke.ClientConfig{Slots: 1, SlotBytes: slotBytes, Mode: cfg.Mode})
	if err != nil {
		return err
	}
	if granted := c.client.SlotBytes(); granted < slotBytes {
		return fmt.Errorf("the executor grants slots of %d bytes where %d are needed", granted, slotBytes)
	}
	if c.function, err = c.client.Function(ctx, cfg.Function); err != nil {
		return err
	}
	c.buffer, err = c.client.NewBuffer(cfg.InputBytes, cfg.ResultBytes)
	return err
}

// Input is where the input of the next call goes.
func (c *Callee) Input() []byte { return c.buffer.In() }

// Idempotent reports whether the function was declared so.
func (c *Callee) Idempotent() bool { return c.function.Idempotent() }

// deathPatience is how long the end of a process may come after the end of its
// connection.
const deathPatience = 200 * time.Millisecond

// Explain replaces an error of a connection that was lost by how the executor ended,
// if it did.
func (c *Callee) Explain(err error) error {
	select {
	case <-c.Executor.Ended():
		fate, _ := c.Executor.Fate()
		return errors.New(fate.String() + advice(fate))
	case <-time.After(deathPatience):
		return err
	}
}

// advice says how the user gives a function more of what it had too little of.
func advice(f executor.Fate) string {
	switch {
	case f.ResultBytes > 0:
		return "; allow more with --slot-bytes"
	case f.Cause == executor.OutOfMemory && f.MemoryBytes > 0:
		return "; allow its package more with rfaas pack --memory"
	case f.Cause == executor.Overstayed:
		return "; allow its package more with rfaas pack --time-limit"
	}
	return ""
}

// TooLarge is the error of a call that was too large in words for the user, who gives a
// result more room as moreRoom says.
func TooLarge(e *invoke.Error, moreRoom string) string {
	said, _, _ := strings.Cut(e.Message, "; ") // the rest is for who writes programs
	return fmt.Sprintf("too large: %s; allow more with %s", said, moreRoom)
}

// Timing is how long a call took.
type Timing struct {
	Call      time.Duration // as the caller sees it
	Execution time.Duration // in the function
}

// overtime is how much longer than the worker the caller waits for the end of a
// function whose time is up.
const overtime = 250 * time.Millisecond

// Call calls the function with the first n bytes of Input. The result is valid until
// the next call. When the timeout is over (0: never) the function is told so, and
// has the overtime to answer.
func (c *Callee) Call(ctx context.Context, n int, timeout time.Duration) (result []byte, t Timing, err error) {
	waiting := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, timeout+overtime)
		defer cancel()
	}
	begin := time.Now()
	err = c.buffer.Go(ctx, c.function, n, invoke.CallOptions{Timeout: timeout})
	if err == nil {
		result, err = c.buffer.Wait(waiting)
	}
	t.Call = time.Since(begin)
	if measured, ok := c.client.Timing(); ok {
		t.Execution = measured.Execution
	}
	return result, t, err
}

// End closes the connection and ends the executor, which has the grace period to end
// by itself.
func (c *Callee) End(grace time.Duration) {
	if c.client != nil {
		c.client.Close()
	}
	c.Executor.Stop(grace)
}
