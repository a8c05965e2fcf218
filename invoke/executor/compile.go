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

// Compiler compiles code and returns what Order.Compiled is to be, in the form of the
// runtime's Loader; nothing if there is nothing to compile.
type Compiler func(ctx context.Context, c Code) ([]byte, error)

// Compilation is code that is to be compiled.
type Compilation struct {
	Runtime     string   // one of invoke/runtime's names
	Code        *os.File `json:"-"` // see Order; it remains the caller's
	MemoryBytes int64    // of the code; 0: as the runtime's Loader has it
	// CompilerBytes is how much memory compiling may take, 0 is 2 GiB; and TimeLimit how
	// long, 0 is a minute.
	CompilerBytes int64
	TimeLimit     time.Duration
}

const (
	defaultCompilerBytes = 2 << 30
	defaultCompileLimit  = time.Minute
	mostCompiledBytes    = 512 << 20
)

// Compile has code compiled by a process of its own, which is isolated as executors are,
// and opens no transport: code of strangers may take a compiler more memory and time than
// there is, or mislead it. The result is sealed, the caller's, and as little to be trusted as
// the code: it is for executors of this code. nil means that there is nothing to compile.
// An error of the code's is an *OrderError, also that it took too much. Without
// Config.Confine the process has a limit of time only.
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
	e, err := s.spawn(nil, policy)
	if err != nil {
		return nil, err
	}
	into, err := memoryFile("compiled " + c.Code.Name())
	if err != nil {
		e.discard()
		return nil, err
	}
	err = e.compile(ctx, &c, into)
	e.discard() // first: what it wrote does not change any more
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

// compile has the executor do it, and waits.
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
		return errors.New("code and a place for what it is compiled to were expected")
	}
	compiled, err := compiler(ctx, Code{File: x.files[0], MemoryBytes: c.MemoryBytes})
	if err != nil {
		return err
	}
	if _, err := io.Copy(x.files[1], bytes.NewReader(compiled)); err != nil {
		return fmt.Errorf("what it was compiled to, %d bytes: %w", len(compiled), err)
	}
	return x.control.send(answer{})
}
