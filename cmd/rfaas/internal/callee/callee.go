// Package callee is a function in an executor of its own, as a worker of a client: what
// a command that calls functions has.
package callee

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/transport"
)

// Config says what to start.
type Config struct {
	Supervisor *executor.Supervisor
	Order      executor.Order // its slots and what goes beside them are Start's to choose
	Device     *transport.Device
	// InputBytes and ResultBytes are what there is room for.
	InputBytes, ResultBytes int
}

// MaxBytes is the longest input, and the longest result, that a call can have.
const MaxBytes = 1 << 30

// Callee is an executor and the connection to it.
type Callee struct {
	Executor *executor.Executor
	client   *invoke.Client
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
		err = c.explain(err)
		e.Stop(0)
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
	c.client, err = c.Executor.Dial(ctx, cfg.Device, invoke.ClientConfig{Slots: 1, SlotBytes: slotBytes, Mode: invoke.Warm}) // who drives it polls
	if err != nil {
		return err
	}
	if granted := c.client.SlotBytes(); granted < slotBytes {
		c.client.Close()
		return fmt.Errorf("the executor grants slots of %d bytes where %d are needed", granted, slotBytes)
	}
	return nil
}

// Worker makes a worker of a client of it. When the client is done with it the executor
// has the time that grace says to end by itself.
func (c *Callee) Worker(grace func() time.Duration) client.Worker {
	return client.Worker{
		Client: c.client,
		Fate:   func(context.Context) error { return c.Fate() },
		Close:  func() error { c.Executor.Stop(grace()); return nil },
	}
}

// Fate is what became of an executor whose connection ended.
func (c *Callee) Fate() *LostError {
	return &LostError{PID: c.Executor.PID(), How: c.explain(c.client.Err())}
}

// LostError says that an executor was lost, and with it the calls that it had.
type LostError struct {
	PID int
	How error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("worker process %d was lost: %v", e.PID, e.How)
}

// deathPatience is how long the end of a process may come after the end of its
// connection.
const deathPatience = 200 * time.Millisecond

// explain replaces an error of a connection that was lost by how the executor ended,
// if it did.
func (c *Callee) explain(err error) error {
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
