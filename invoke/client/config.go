package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// Worker is a worker that a lane was given. It belongs to the lane.
type Worker struct {
	// Client is the connection. Only this package may use it, and closes it.
	Client *invoke.Client
	// Fate, if set, is asked what became of the worker after the connection was
	// lost: the program that runs the worker knows whether it was killed, and by what. It
	// returns nil if it does not know. An *invoke.Error gives the calls in flight
	// its status; one with StartedNo says that none of them was begun. One with
	// StatusCanceled says that the worker, which executes calls in order, has ended for
	// one that was given up: those sent later were not begun. It has one second, then its
	// context ends.
	Fate func(ctx context.Context) error
	// Idle, if set, is called when the lane has let the worker go because of Config.Idle:
	// after the Client was closed, before Close.
	Idle func()
	// Close, if set, is called once, after the Client was closed and Fate asked,
	// when the lane is done with the worker.
	Close func() error
}

// Config describes a client. Dial has to be there, the rest may be zero.
type Config struct {
	// Lanes is how many workers are used at once: 1 if 0.
	Lanes int
	// Dial gets a worker for a lane, 0 to Lanes-1: at first, and whenever the
	// lane has lost its worker. It is called on the lane's goroutine, so for
	// several lanes at once. The context ends after 30 seconds and when the client
	// is closed; it must not bound the life of the worker.
	Dial func(ctx context.Context, lane int) (Worker, error)
	// MaxDials is after how many failures in a row a lane is given up: a Dial
	// that failed, or a worker that was lost before it was sent anything. When
	// all lanes are, calls fail at once. 0 for never.
	MaxDials int
	// BackoffMin and BackoffMax bound the pause between two Dials of a lane, 10 ms
	// and 2 s if 0. It doubles with each failure in a row, and is shortened at
	// random by up to a half, so that lanes do not dial in step.
	BackoffMin, BackoffMax time.Duration
	// Mode is how lanes wait: see "Waiting".
	Mode invoke.Mode
	// Depth is how many calls a lane has in flight at most: as many as its client
	// has slots if 0. Ahead is how much work, 1 ms if 0.
	Depth int
	Ahead time.Duration
	// Queue is how many calls wait for a lane at most: 1024 if 0. Then Go waits, or
	// fails. Calls of Client.Call and Map beyond it wait, too; they are
	// bounded by their goroutines and by the window of the Map.
	Queue int
	// Attempts is how often a call is made at most: 3 if 0.
	Attempts int
	// Overtime is how long a worker may go on with a call that was given up,
	// before its connection is closed and another worker dialed; its other calls
	// share the fate of those of a lost worker. 0 for as long as it takes: right
	// if functions that overstay are ended elsewhere.
	Overtime time.Duration
	// Idle is after how long without calls a lane lets its worker go. It dials again when
	// calls wait that other lanes do not take. A lane notices up to a quarter later. 0 for
	// never.
	Idle time.Duration
	// Memory, if set, is where inputs and results can be that calls are not to copy: DialWith
	// hands it to the connections that it makes, as a Dial of one's own has to. See invoke.Memory.
	Memory *invoke.Memory
	// Hooks are called for each call.
	Hooks []Hook
	// Logger gets a record of each lane that connects or ends. It may be nil.
	Logger *slog.Logger
}

const (
	defaultAhead    = time.Millisecond
	defaultQueue    = 1024
	defaultAttempts = 3
	defaultMin      = 10 * time.Millisecond
	defaultMax      = 2 * time.Second
	dialTimeout     = 30 * time.Second
	fateTimeout     = time.Second
)

func (c Config) withDefaults() (Config, error) {
	if c.Dial == nil {
		return c, errors.New("client: Config.Dial is not set: it gets a worker for a lane")
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"Lanes", int64(c.Lanes)}, {"MaxDials", int64(c.MaxDials)}, {"Depth", int64(c.Depth)}, {"Queue", int64(c.Queue)},
		{"Attempts", int64(c.Attempts)}, {"BackoffMin", int64(c.BackoffMin)}, {"BackoffMax", int64(c.BackoffMax)},
		{"Ahead", int64(c.Ahead)}, {"Overtime", int64(c.Overtime)}, {"Idle", int64(c.Idle)},
	} {
		if n.value < 0 {
			return c, fmt.Errorf("client: Config.%s is negative", n.name)
		}
	}
	setDefault(&c.Lanes, 1)
	setDefault(&c.BackoffMin, defaultMin)
	setDefault(&c.BackoffMax, max(defaultMax, c.BackoffMin))
	setDefault(&c.Ahead, defaultAhead)
	setDefault(&c.Queue, defaultQueue)
	setDefault(&c.Attempts, defaultAttempts)
	if c.BackoffMax < c.BackoffMin {
		return c, fmt.Errorf("client: Config.BackoffMax (%v) is less than BackoffMin (%v)", c.BackoffMax, c.BackoffMin)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func setDefault[T int | time.Duration](value *T, otherwise T) {
	if *value == 0 {
		*value = otherwise
	}
}
