package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// stopGrace is how long what is running may continue after the first signal.
	stopGrace = 5 * time.Second
	// abortGrace is how long the program may take to end after the second.
	abortGrace = time.Second
)

// errInterrupted is why something ended that a signal ended.
var errInterrupted = errors.New("interrupted")

// endingSignals are the signals that ask the program to end. SIGHUP is none
// when it is ignored, as under nohup.
func endingSignals() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// interruption turns signals into the ends of contexts: of stop with the first
// one, before onFirst is called; of abort with the second one, or grace
// later. A program that has not called release abortGrace after that is ended.
func interruption(parent context.Context, grace time.Duration, onFirst func()) (stop, abort context.Context, release func()) {
	stop, endStop := context.WithCancelCause(parent)
	abort, endAbort := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endingSignals()...)
	released := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-released:
			return
		}
		endStop(errInterrupted)
		onFirst()
		select {
		case <-signals:
		case <-time.After(grace):
		case <-released:
			return
		}
		endAbort(errInterrupted)
		select {
		case <-time.After(abortGrace):
			os.Exit(exitInterrupted)
		case <-released:
		}
	}()
	return stop, abort, func() {
		signal.Stop(signals)
		close(released)
		endStop(nil)
		endAbort(nil)
	}
}
