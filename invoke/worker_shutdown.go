package invoke

import (
	"context"
	"errors"
	"time"
)

// leaveTime is how long clients have to hang up that were told that their worker drains,
// and have no answers to come.
const leaveTime = time.Second

// Shutdown ends the worker in good order: new calls and new clients are refused, clients
// are told (Client.Draining), the call that runs is answered, clients have a second to
// hang up, and Serve frees everything. It returns when that is done. If the context
// ends before, it closes the worker at once, as Close does, and returns the context's cause.
func (w *Worker) Shutdown(ctx context.Context) error {
	err := w.Drain(ctx)
	if err == nil {
		err = w.awaitNoClients(ctx)
	}
	err = errors.Join(err, w.Close())
	select {
	case <-w.ended:
	case <-ctx.Done():
		err = errors.Join(err, context.Cause(ctx))
	}
	return err
}

// awaitNoClients waits until there are no clients, or they have had their time.
func (w *Worker) awaitNoClients(ctx context.Context) error {
	w.mu.Lock()
	if w.noClients == nil {
		w.noClients = make(chan struct{})
		if w.clients == 0 {
			close(w.noClients)
		}
	}
	gone := w.noClients
	w.mu.Unlock()
	timer := time.NewTimer(leaveTime)
	defer timer.Stop()
	select {
	case <-gone:
	case <-w.ended:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
