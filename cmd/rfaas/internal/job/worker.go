package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
)

// worker is an executor and the connection to it. One goroutine uses it.
type worker struct {
	executor *executor.Executor
	client   *invoke.Client
	function *invoke.Handle
	buffer   *invoke.Buffer
}

// hire starts an executor on a processor and connects to it.
func (c *Config) hire(ctx context.Context, core int) (*worker, error) {
	order := c.Order
	order.Core = core
	e, err := c.Supervisor.Start(ctx, order)
	if err != nil {
		return nil, err
	}
	w := &worker{executor: e}
	if err := w.connect(ctx, c); err != nil {
		err = w.explain(err)
		w.end(0)
		return nil, fmt.Errorf("executor (process %d): %w", e.PID(), err)
	}
	return w, nil
}

func (c *Config) slotBytes() int { return c.Order.Assignment.SlotBytes }

// connectTimeout bounds the connection's set-up.
const connectTimeout = 30 * time.Second

func (w *worker) connect(ctx context.Context, c *Config) (err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	w.client, err = w.executor.Dial(ctx, c.Device, invoke.ClientConfig{Slots: 1, SlotBytes: c.slotBytes(), Mode: c.Mode})
	if err != nil {
		return err
	}
	if granted := w.client.SlotBytes(); granted < c.slotBytes() {
		return fmt.Errorf("the executor grants slots of %d bytes where %d are needed", granted, c.slotBytes())
	}
	if w.function, err = w.client.Function(ctx, c.Function); err != nil {
		return err
	}
	w.buffer, err = w.client.NewBuffer(c.slotBytes(), c.slotBytes())
	return err
}

// deathPatience is how long the end of a process may come after the end of its
// connection.
const deathPatience = 200 * time.Millisecond

// explain replaces an error by how the executor ended, if it did.
func (w *worker) explain(err error) error {
	select {
	case <-w.executor.Ended():
		fate, _ := w.executor.Fate()
		return errors.New(fate.String())
	case <-time.After(deathPatience):
		return err
	}
}

// timing is how long a call took.
type timing struct {
	call      time.Duration // as the caller sees it
	execution time.Duration // in the function
}

// overtime is how much longer than the worker the caller waits for the end of a
// function whose time is up.
const overtime = 250 * time.Millisecond

// call calls the function with the first n bytes of the buffer. The result is
// valid until the next call. When the timeout is over the function is told so,
// and has the overtime to answer.
func (w *worker) call(ctx context.Context, n int, timeout time.Duration) (result []byte, t timing, err error) {
	sending, waiting := ctx, ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		sending, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
		waiting, cancel = context.WithTimeout(ctx, timeout+overtime)
		defer cancel()
	}
	begin := time.Now()
	err = w.buffer.Go(sending, w.function, n)
	if err == nil {
		result, err = w.buffer.Wait(waiting)
	}
	t.call = time.Since(begin)
	if measured, ok := w.client.Timing(); ok {
		t.execution = measured.Execution
	}
	return result, t, err
}

// end closes the connection and ends the executor, which has the grace period
// to end by itself.
func (w *worker) end(grace time.Duration) {
	if w.client != nil {
		w.client.Close()
	}
	w.executor.Stop(grace)
}
