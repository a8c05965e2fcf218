package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// Compiler compiles code and returns the content of Order.Compiled, in the form of the
// runtime's Loader; nothing if there is nothing to compile.
type Compiler func(ctx context.Context, c Code) ([]byte, error)

// Compilation asks for code to be compiled.
type Compilation struct {
	Runtime     string   // one of invoke/runtime's names
	Code        *os.File `json:"-"` // see Order; it remains the caller's
	MemoryBytes int64    // of the code; if 0, the Loader's default
	// CompilerBytes is the most memory that compiling may take; 2 GiB if 0. TimeLimit bounds
	// its time; a minute if 0.
	CompilerBytes int64
	TimeLimit     time.Duration
}

const (
	defaultCompilerBytes = 2 << 30
	defaultCompileLimit  = time.Minute
	mostCompiledBytes    = 512 << 20
)

// Compile compiles code in a process of its own, which is isolated as executors are and
// opens no transport: a stranger's code may make a compiler use too much memory or time, or
// exploit it. The result is sealed and the caller's to close. It deserves no more trust than
// the code: use it only for executors of this code. nil means that there is nothing to
// compile. If the code is at fault, or takes too much, the error is an *OrderError. Without
// Config.Confine only the time is limited.
func (s *Supervisor) Compile(ctx context.Context, c Compilation) (*os.File, error) {
	if c.CompilerBytes == 0 {
		c.CompilerBytes = defaultCompilerBytes
	}
	if c.TimeLimit == 0 {
		c.TimeLimit = defaultCompileLimit
	}
	var policy *confine.Policy
	if s.cfg.Confine != nil {
		p := *s.cfg.Confine
		p.Verbs = false
		p.MemoryBytes, p.TmpBytes, p.FileBytes = c.CompilerBytes, mostCompiledBytes, mostCompiledBytes
		policy = &p
	}
	e, err := s.spawn(nil, policy, nil)
	if err != nil {
		return nil, err
	}
	into, err := memoryFile("compiled " + c.Code.Name())
	if err != nil {
		e.discard()
		return nil, err
	}
	err = e.compile(ctx, &c, into)
	e.discard() // first: afterwards the result cannot change
	var size int64
	if err == nil {
		size, err = into.Seek(0, io.SeekEnd)
	}
	if err == nil && size > 0 {
		if err = seal(into); err == nil {
			s.log.Info("code compiled", "code", c.Code.Name(), "process", e.PID(), "bytes", size)
			return into, nil
		}
	}
	return nil, errors.Join(err, into.Close())
}

// compile sends the Compilation to the executor, and waits.
func (e *Executor) compile(ctx context.Context, c *Compilation, into *os.File) error {
	e.output.offer([]Function{{Name: "compiling " + c.Code.Name()}})
	start, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := e.setUp(start, &Setup{}); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, c.TimeLimit)
	defer cancel()
	_, err := e.ask(limited, command{Compilation: c}, c.Code, into)
	if err == nil || errors.As(err, new(*OrderError)) || errors.Is(err, errNonsense) || ctx.Err() != nil {
		return err
	}
	if limited.Err() != nil {
		return &OrderError{fmt.Sprintf("%s: compiling it takes longer than %v", c.Code.Name(), c.TimeLimit)}
	}
	<-e.ended // ask has waited for it
	if e.fate.Cause == OutOfMemory {
		return &OrderError{fmt.Sprintf("%s: compiling it takes more than %d bytes of memory", c.Code.Name(), c.CompilerBytes)}
	}
	return &OrderError{fmt.Sprintf("%s: the process that compiles it %s (it may take %d bytes of memory)", c.Code.Name(), strings.TrimPrefix(e.fate.Err().Message, "the executor "), c.CompilerBytes)}
}

// compile carries a Compilation out.
func (x *execution) compile(ctx context.Context, c *Compilation) error {
	compiler := x.host.Compilers[c.Runtime]
	if compiler == nil {
		return fmt.Errorf("this program has no compiler for the runtime %q; there are: %s", c.Runtime,
			strings.Join(slices.Sorted(maps.Keys(x.host.Compilers)), ", "))
	}
	if len(x.files) != 2 {
		return errors.New("code and a file for the compiled code were expected")
	}
	compiled, err := compiler(ctx, Code{File: x.files[0], MemoryBytes: c.MemoryBytes})
	if err != nil {
		return err
	}
	if _, err := io.Copy(x.files[1], bytes.NewReader(compiled)); err != nil {
		return fmt.Errorf("writing the compiled code, %d bytes: %w", len(compiled), err)
	}
	return x.control.send(answer{})
}
