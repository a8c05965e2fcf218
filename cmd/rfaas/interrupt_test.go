package main

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is running has the time that it was given, and not the one that is usual.
func TestInterruption(t *testing.T) { // not at the same time as others: it gets a signal
	told := make(chan struct{})
	stop, abort, release := interruption(t.Context(), time.Millisecond, func() { close(told) })
	defer release()
	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGTERM))
	<-told
	require.ErrorIs(t, context.Cause(stop), errInterrupted)
	select {
	case <-abort.Done():
	case <-time.After(stopGrace - time.Second):
		t.Fatal("it takes longer")
	}
}
