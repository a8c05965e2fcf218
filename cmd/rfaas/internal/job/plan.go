package job

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
)

// Plan is what to do with a list of inputs.
type Plan struct {
	Inputs    []*Input
	Directory string // of the results; empty for the standard output
	// LargestBytes is the size of the largest input that is tried.
	LargestBytes int64
}

// PlanConfig says how to plan.
type PlanConfig struct {
	Names      []string  // of the inputs; Stdin is the standard input
	Stdin      io.Reader // read here, if it is among the inputs
	Directory  string    // for the results; empty for the standard output
	Extension  string    // of the results; empty for that of the input
	LimitBytes int64     // the largest input allowed
}

// MisuseError is a mistake in what was asked for. Nothing was started.
type MisuseError struct{ Err error }

func (e *MisuseError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *MisuseError) Unwrap() error { return e.Err }

func misuse(format string, args ...any) error {
	return &MisuseError{fmt.Errorf(format, args...)}
}

// NewPlan looks at the inputs, names the outputs and prepares their directory.
// An input that cannot be read is no error here: it fails, and only it, when
// the plan is run. Errors: *MisuseError when results would overwrite each other
// or an input, others when the directory cannot be written.
func NewPlan(cfg PlanConfig) (*Plan, error) {
	p := &Plan{Directory: cfg.Directory}
	seen := map[string]bool{}
	for _, name := range cfg.Names {
		if seen[name] {
			return nil, misuse("input %s is given twice", name)
		}
		seen[name] = true
		in := look(name, cfg.Stdin, cfg.LimitBytes)
		if in.err == nil && in.Bytes > cfg.LimitBytes {
			in.err = tooLarge(in.Bytes, cfg.LimitBytes)
		}
		if in.err == nil {
			p.LargestBytes = max(p.LargestBytes, in.Bytes)
		}
		p.Inputs = append(p.Inputs, in)
	}
	if cfg.Directory == "" {
		return p, nil
	}
	if err := p.nameOutputs(cfg.Extension); err != nil {
		return nil, err
	}
	return p, p.prepareDirectory()
}

// nameOutputs says where each result goes, and refuses what would lose data.
func (p *Plan) nameOutputs(extension string) error {
	owner, files := map[string]*Input{}, map[fileID]*Input{}
	for _, in := range p.Inputs {
		in.Output = filepath.Join(p.Directory, in.base(extension))
		if other := owner[in.Output]; other != nil {
			return misuse("%s and %s would both be written to %s; run them one after the other with different directories (-o)",
				other.Name, in.Name, in.Output)
		}
		owner[in.Output] = in
		if in.info != nil {
			files[identify(in.info)] = in
		}
	}
	for _, in := range p.Inputs {
		target, err := os.Stat(in.Output)
		switch {
		case err != nil: // there is none, most likely; if it is something else, writing says so
		case target.IsDir():
			return misuse("the result of %s would be written to %s, which is a directory", in.Name, in.Output)
		case files[identify(target)] != nil:
			return misuse("the result of %s would overwrite the input %s; choose another directory (-o)", in.Name, files[identify(target)].Name)
		}
	}
	return nil
}

// fileID tells files apart, whatever their names.
type fileID struct{ device, inode uint64 }

func identify(info os.FileInfo) fileID {
	s := info.Sys().(*syscall.Stat_t)
	return fileID{s.Dev, s.Ino}
}

// prepareDirectory creates the directory if it is not there, and makes sure that
// files can be made in it.
func (p *Plan) prepareDirectory() error {
	err := os.MkdirAll(p.Directory, 0o777)
	if err == nil {
		err = atomicfile.Probe(p.Directory)
	}
	if err == nil {
		return nil
	}
	path := p.Directory
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		path = e.Path
	}
	return fmt.Errorf("the results cannot be written to %s: %s: %w; choose another directory (-o)", p.Directory, path, atomicfile.WithoutPath(err))
}
