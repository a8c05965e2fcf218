package agent

import (
	"fmt"
	"time"
)

// The load of the owner's programs is a mean over loadWindow, looked at each loadInterval.
const (
	loadWindow   = 5 * time.Second
	loadInterval = time.Second
)

// loadWatch is how the owner's load is looked at.
type loadWatch struct {
	window, interval time.Duration
	sample           func() (loadSample, error)
}

// watchLoad begins to give cores to the owner and to take them back, by the load.
func (a *Agent) watchLoad() error {
	if a.cfg.YieldLoad == nil {
		return nil
	}
	w := a.cfg.load
	if w.sample == nil {
		r, err := newLoadReader()
		if err != nil {
			return err
		}
		w.sample = r.sample
	}
	first, err := w.sample()
	if err != nil {
		return err
	}
	d := newDemand(*a.cfg.YieldLoad, len(a.cfg.Cores), w.window)
	d.add(first)
	a.ending.Go(func() { a.yield(d, w) })
	return nil
}

// yield does so until the agent ends.
func (a *Agent) yield(d *demand, w loadWatch) {
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	failed := false
	for {
		select {
		case <-a.life.Done():
			return
		case <-ticker.C:
		}
		s, err := w.sample()
		if err != nil {
			if !failed {
				a.log.Warn("the load of the owner's programs is not known; the owner has as many cores as before", "cores", d.cores, "reason", err)
			}
			failed = true
			continue
		}
		failed = false
		before := d.cores
		others := d.add(s)
		switch {
		case d.cores > before:
			a.log.Info("the owner takes cores", "cores", d.cores, "before", before, "load", others, "yield_load", d.yield)
		case d.cores < before:
			a.log.Info("the owner gives cores back", "cores", d.cores, "before", before, "load", others, "yield_load", d.yield)
		default:
			continue
		}
		a.Reclaim(d.cores, fmt.Sprintf("the owner's own programs use %.1f cores", others))
	}
}
