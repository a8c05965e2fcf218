package transporttest

// command is a command to an agent. A and R must be types that gob can carry;
// none means nothing.
type command[A, R any] struct {
	name string
	run  func(*agent, A) (R, error)
}

// none is the argument or result of a command that has none.
type none bool

// services makes, by the names of the commands, what carries them out for a peer.
var services = map[string]func(*agent) any{}

// define makes a command, which may return an error or panic in check. It is
// called while the package is initialised, so that the test and its peer process
// know the same commands.
func define[A, R any](name string, do func(*agent, A) (R, error)) command[A, R] {
	if services[name] != nil {
		panic("transporttest: two commands are called " + name)
	}
	run := func(a *agent, args A) (result R, err error) {
		defer recoverChecked(&err)
		return do(a, args)
	}
	services[name] = func(a *agent) any { return service[A, R]{a, run} }
	return command[A, R]{name, run}
}

// action makes a command without a result, which panics in check when it fails.
func action[A any](name string, do func(*agent, A)) command[A, none] {
	return define(name, func(a *agent, args A) (none, error) {
		do(a, args)
		return false, nil
	})
}

// checked is an error with which check ends a command.
type checked struct{ error }

// check ends the command that calls it, in the command's own goroutine, unless
// err is nil.
func check(err error) {
	if err != nil {
		panic(checked{err})
	}
}

// must is the value of a call without which a command cannot go on.
func must[T any](value T, err error) T {
	check(err)
	return value
}

// catch is the error with which check ended do, or nil.
func catch(do func()) (err error) {
	defer recoverChecked(&err)
	do()
	return nil
}

// recoverChecked makes the panic of check an error again.
func recoverChecked(err *error) {
	switch r := recover().(type) {
	case nil:
	case checked:
		*err = r.error
	default:
		panic(r)
	}
}

// on has the end carry the command out and returns the outcome. On an error the
// result may still tell how far it got.
func (c command[A, R]) on(e *end, args A) (R, error) {
	if e.agent != nil {
		return c.run(e.agent, args)
	}
	return callPeer[A, R](e.process, c.name, args)
}

// must is on for a command that has to succeed.
func (c command[A, R]) must(e *end, args A) R {
	e.t.Helper()
	result, err := c.on(e, args)
	if err != nil {
		e.fatalf("%s: %v", c.name, err)
	}
	return result
}

// future is a command in progress.
type future[R any] struct {
	end    *end
	name   string
	done   chan struct{}
	result R
	err    error
}

// start is on without waiting for the outcome. The end's cleanup waits for it if
// the test does not.
func (c command[A, R]) start(e *end, args A) *future[R] {
	f := &future[R]{end: e, name: c.name, done: make(chan struct{})}
	e.underWay.Add(1)
	go func() {
		defer e.underWay.Done()
		defer close(f.done)
		f.result, f.err = c.on(e, args)
	}()
	return f
}

// wait returns the outcome.
func (f *future[R]) wait() (R, error) {
	<-f.done
	return f.result, f.err
}

// must is wait for a command that has to succeed.
func (f *future[R]) must() R {
	f.end.t.Helper()
	result, err := f.wait()
	if err != nil {
		f.end.fatalf("%s: %v", f.name, err)
	}
	return result
}

// finished reports whether the outcome is there.
func (f *future[R]) finished() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}
