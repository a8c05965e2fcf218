package verbs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// listen takes the device's asynchronous events until it is closed.
func (a *Adapter) listen() {
	defer close(a.events)
	for {
		e, err := a.context.Event()
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil: // an open device should not fail so
			a.loseDevice(fmt.Errorf("%w: %w", errDeviceGone, err))
			return
		}
		a.handle(e)
	}
}

func (a *Adapter) handle(e ibv.Event) {
	switch e.Type {
	case ibv.EventQPFatal, ibv.EventQPRequestError, ibv.EventQPAccessError, ibv.EventPathMigrationError:
		for _, q := range a.pairs.All() {
			if q.qp.QPN == e.QPN {
				q.fail(fmt.Errorf("the device reports %q: the peer asked for what it is not granted, or the device failed (%s)", e.Type, q.where()), true)
			}
		}
	case ibv.EventDeviceFatal:
		a.loseDevice(fmt.Errorf("%w: it reports %q", errDeviceGone, e.Type))
	case ibv.EventCQError, ibv.EventSRQError, ibv.EventWQFatal:
		slog.Error("verbs: a queue of the device failed", "device", a.port.device, "event", e.Type)
		a.loseDevice(fmt.Errorf("%w: it reports %q", errDeviceGone, e.Type))
	case ibv.EventPortError:
		slog.Warn("verbs: port is down; connections fail if it stays so", "device", a.port.device, "port", e.Port)
	case ibv.EventPortActive:
		slog.Info("verbs: port is up", "device", a.port.device, "port", e.Port)
	case ibv.EventGIDChange, ibv.EventLIDChange:
		slog.Warn("verbs: the addresses of the port changed; connections from before may fail", "device", a.port.device, "port", e.Port)
	default:
		slog.Debug("verbs: event", "device", a.port.device, "event", e.Type)
	}
}

// loseDevice ends all connections: the device completes nothing any more.
func (a *Adapter) loseDevice(why error) {
	for _, q := range a.pairs.All() {
		q.gone.Store(true)
		q.fail(why, false)
	}
}
