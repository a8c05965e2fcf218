package softroce

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// background is the side of an engine that serves the network when no program
// does: for a passive target, during a long function, or while all programs sleep.
//
// While a program polls, it only checks twice in a millisecond whether that is still so.
// Otherwise it serves: it drives the engine until there is nothing left, arms, looks
// again, and parks on the runtime's poller until the socket is readable or a timer is due.
type background struct {
	engine  *engine
	poller  *os.File // an epoll set with the socket and the bell, itself watched by the runtime's
	raw     syscall.RawConn
	epoll   int
	bell    int // an eventfd: rung to unpark
	clock   int // a timerfd, where packets are held back: the runtime's timers may be a millisecond late; else -1
	alarm   chan struct{}
	stopped chan struct{}
	done    sync.WaitGroup

	// For its goroutine only: what parking needs, made once.
	events   [3]unix.EpollEvent
	moment   unix.ItimerSpec
	got      int
	look     func(fd uintptr) bool
	armed    unix.EpollEvent
	disarmed unix.EpollEvent
	ringings [8]byte

	serving  atomic.Bool
	ticked   atomic.Bool  // half a millisecond has passed since the clock was read
	sleepers atomic.Int32 // programs asleep in Wait
	// parked is until when it sleeps, on the engine's clock; awake if it does not.
	parked atomic.Int64
}

const (
	// lookPeriod is half of how long no program has to drive before the background
	// side takes over.
	lookPeriod = 500 * time.Microsecond
	// manyDrives is more than a program drives in a lookPeriod in which it mostly sleeps.
	manyDrives = 64
	// After emptyWakes wake-ups in a row with nothing to do, because a program had
	// driven before, one program polls although another sleeps.
	emptyWakes = 16

	awake = -1
)

func newBackground(e *engine) (*background, error) {
	b := &background{engine: e, alarm: make(chan struct{}, 1), stopped: make(chan struct{}), bell: -1, clock: -1}
	b.parked.Store(awake)
	b.look = func(uintptr) bool {
		b.got, _ = unix.EpollWait(b.epoll, b.events[:], 0)
		return b.got > 0
	}
	b.armed = unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(e.socket.inlet)}
	b.disarmed = unix.EpollEvent{Events: unix.EPOLLONESHOT, Fd: int32(e.socket.inlet)}
	var err error
	if b.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, explain("epoll_create", err)
	}
	if err = unix.SetNonblock(b.epoll, true); err == nil {
		b.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = unix.EpollCtl(b.epoll, unix.EPOLL_CTL_ADD, b.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(b.bell)})
	}
	if err == nil {
		err = unix.EpollCtl(b.epoll, unix.EPOLL_CTL_ADD, e.socket.inlet, &b.disarmed)
	}
	if err == nil && e.faults != nil && e.faults.slow != nil {
		if b.clock, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err == nil {
			err = unix.EpollCtl(b.epoll, unix.EPOLL_CTL_ADD, b.clock, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(b.clock)})
		}
	}
	b.poller = os.NewFile(uintptr(b.epoll), "softroce-poller")
	if err == nil {
		err = b.poller.SetReadDeadline(time.Time{}) // fails when the runtime cannot watch it
	}
	if err == nil {
		b.raw, err = b.poller.SyscallConn()
	}
	if err != nil {
		b.close()
		return nil, explain("watching the socket", err)
	}
	return b, nil
}

// begin starts it, when the engine refers to it.
func (b *background) begin() {
	b.serving.Store(true)
	b.done.Go(b.run)
}

// serves reports whether the background side serves. If it does, or just did, the
// engine's clock may be old.
func (b *background) serves() bool { return b.serving.Load() }

// clockIsOld reports whether the engine's clock may not have been read for long:
// no program drives all the time, or half a millisecond has passed.
func (b *background) clockIsOld() bool {
	if b.serving.Load() {
		return true
	}
	if b.ticked.Load() {
		b.ticked.Store(false)
		return true
	}
	return false
}

// attend has the background side serve until dismiss, because a program goes to sleep.
func (b *background) attend() {
	b.sleepers.Add(1)
	if !b.serving.Load() {
		select {
		case b.alarm <- struct{}{}:
		default:
		}
	}
}

func (b *background) dismiss() { b.sleepers.Add(-1) }

// wakeFor wakes the background side if it sleeps beyond the moment at.
func (b *background) wakeFor(at time.Duration) {
	if until := b.parked.Load(); until > int64(at) && b.parked.CompareAndSwap(until, awake) {
		b.ring()
	}
}

var one = []byte{1, 0, 0, 0, 0, 0, 0, 0}

func (b *background) ring() { unix.Write(b.bell, one) } // EAGAIN: rung often enough

// stop ends the background side.
func (b *background) stop() {
	close(b.stopped)
	b.ring()
	b.done.Wait()
	b.close()
}

func (b *background) close() {
	if b.bell >= 0 {
		unix.Close(b.bell)
	}
	if b.clock >= 0 {
		unix.Close(b.clock)
	}
	b.poller.Close()
}

func (b *background) run() {
	look := time.NewTimer(lookPeriod)
	defer look.Stop()
	for b.serve() && b.watch(look) {
	}
}

// watch waits while a program polls. It reports false once stopped.
func (b *background) watch(look *time.Timer) bool {
	for {
		seen := b.engine.drives.Load()
		look.Reset(lookPeriod)
		select {
		case <-look.C:
			b.ticked.Store(true)
		case <-b.alarm:
			return true
		case <-b.stopped:
			return false
		}
		drives := b.engine.drives.Load() - seen
		if drives == 0 || drives < manyDrives && b.sleepers.Load() > 0 {
			return true
		}
	}
}

// serve serves until a program polls. It reports false once stopped.
func (b *background) serve() bool {
	b.serving.Store(true)
	for empty := 0; ; {
		seen := b.engine.drives.Load()
		arrived, until := b.driveAll()
		if b.arm(until) {
			b.park(until)
		}
		select {
		case <-b.stopped:
			return false
		default:
		}
		switch {
		case b.engine.drives.Load() == seen:
			empty = 0
			continue
		case arrived:
			empty = 0
		default:
			empty++
		}
		if b.sleepers.Load() > 0 && empty < emptyWakes {
			continue
		}
		b.serving.Store(false)
		if b.sleepers.Load() == 0 || empty >= emptyWakes {
			b.watchSocket(&b.disarmed)
			return true
		}
		b.serving.Store(true) // for a program that saw it set, and sleeps
	}
}

// driveAll drives the engine until nothing arrives. It reports whether anything
// did, and the moment at which it has to be driven again.
func (b *background) driveAll() (arrived bool, until time.Duration) {
	e := b.engine
	for {
		select {
		case <-b.stopped:
			return arrived, never
		default:
		}
		e.Lock()
		e.readClock()
		more := e.drive(true)
		arrived = arrived || more
		more = more || e.ready.first != nil
		until = e.first()
		e.Unlock()
		if !more {
			return arrived, until
		}
	}
}

// arm asks for a wake-up by the socket, looks again, and reports whether there
// is nothing to do, so that it can park.
func (b *background) arm(until time.Duration) bool {
	e := b.engine
	b.parked.Store(int64(until))
	b.watchSocket(&b.armed)
	e.Lock()
	e.readClock()
	arrived := e.drive(true)
	quiet := !arrived && e.ready.first == nil && e.first() >= until && e.now < until
	if !quiet {
		b.parked.Store(awake)
	}
	e.Unlock() // posts that were left meanwhile wake it at once
	return quiet
}

// watchSocket sets whether a datagram wakes the background side. While armed,
// each datagram would.
func (b *background) watchSocket(event *unix.EpollEvent) {
	if err := unix.EpollCtl(b.epoll, unix.EPOLL_CTL_MOD, b.engine.socket.inlet, event); err != nil {
		panic("softroce: watching the socket: " + err.Error()) // the descriptors are our own
	}
}

// park sleeps until the socket is readable, the bell rings or the moment comes.
func (b *background) park(until time.Duration) {
	if b.clock >= 0 {
		b.setClock(until)
	} else {
		deadline := time.Time{}
		if until != never {
			deadline = b.engine.start.Add(until)
		}
		b.poller.SetReadDeadline(deadline)
	}
	b.got = 0
	b.raw.Read(b.look) // fails at the deadline
	b.parked.Store(awake)
	for _, event := range b.events[:max(b.got, 0)] {
		if int(event.Fd) == b.bell {
			unix.Read(b.bell, b.ringings[:])
		}
	}
}

// setClock has the clock end the next sleep at a moment, or not at all.
func (b *background) setClock(until time.Duration) {
	b.moment = unix.ItimerSpec{}
	if until != never {
		b.moment.Value = unix.NsecToTimespec(int64(max(until-time.Since(b.engine.start), 1))) // 0 would mean never
	}
	if err := unix.TimerfdSettime(b.clock, 0, &b.moment, nil); err != nil {
		panic("softroce: setting the clock: " + err.Error()) // the descriptor is our own
	}
}
