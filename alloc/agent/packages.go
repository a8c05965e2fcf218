package agent

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// find looks for a package in the cache.
func (a *Agent) find(digest [32]byte) {
	there, refused := false, ""
	if a.cfg.Packages == nil {
		refused = "this agent takes no packages"
	} else if installed, err := a.cfg.Packages.Get(digest); err == nil {
		there, refused = a.take(digest, installed)
	} else if !errors.Is(err, pack.ErrNotCached) {
		refused = err.Error()
	}
	a.with(func(n *lease.Node, now time.Duration) { n.Found(now, digest, there, refused) })
}

// take makes a program of a package, and takes the package over.
func (a *Agent) take(digest [32]byte, installed *pack.Installed) (there bool, refused string) {
	used := false
	defer func() {
		if !used {
			installed.Close()
		}
	}()
	if refused := a.refuseNative(a.life, installed.Package.Manifest().Runtime); refused != "" {
		return false, refused
	}
	p, err := a.load(installed.Package)
	if err != nil {
		return false, err.Error()
	}
	if len(installed.Files()) > 1 || p.Runtime == runtime.Command {
		p.Folder, p.Path, p.Release = installed.Dir(), installed.ModulePath(), installed.Close
		used = true
	}
	if err := a.prepare(a.life, p); err != nil {
		p.close()
		return false, err.Error()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.programs[digest] == nil {
		a.makeRoom()
		p.received = a.now()
		a.programs[digest] = p
	} else {
		p.close()
	}
	return true, ""
}

// mostPrograms bounds how many packages are in memory without a lease that needs them.
const mostPrograms = 64

// makeRoom forgets the oldest package that no lease needs, if there are too many; it is
// in the cache still. a.mu is held.
func (a *Agent) makeRoom() {
	needed := map[[32]byte]bool{}
	for _, l := range a.node.Leases() {
		needed[l.Terms.Digest] = true
	}
	var oldest [32]byte
	idle := 0
	for digest, p := range a.programs {
		if p.received == 0 || needed[digest] {
			continue
		}
		if idle++; idle == 1 || p.received < a.programs[oldest].received {
			oldest = digest
		}
	}
	if idle >= mostPrograms {
		a.programs[oldest].close()
		delete(a.programs, oldest)
		a.node.Gone(oldest)
	}
}

// load makes a program of a package.
func (a *Agent) load(p *pack.Package) (*Program, error) {
	m := p.Manifest()
	mounts, err := m.WASI.Mounts(a.cfg.Directories)
	if err != nil {
		return nil, err
	}
	module, err := p.OpenModule()
	if err != nil {
		return nil, err
	}
	defer module.Close()
	code, err := executor.SealedCode(m.Module, module)
	if err != nil {
		return nil, err
	}
	program := &Program{Runtime: m.Runtime, Code: code, MemoryBytes: m.MemoryBytes, Arguments: m.Arguments, Warm: m.Warm, TimeLimit: m.TimeLimit.Duration, StackBytes: m.StackBytes}
	for _, f := range m.Functions {
		program.Functions = append(program.Functions, executor.Function{Name: f.Name, Entry: f.Entry, Idempotent: f.Idempotent})
	}
	for _, m := range mounts {
		program.Directories = append(program.Directories, executor.Directory{Guest: m.Guest, Host: m.Path, Writable: m.Writable})
	}
	return program, nil
}

// upload is a package that comes in pieces.
type upload struct {
	digest [32]byte
	region *transport.Region
	into   *io.PipeWriter
	done   chan struct{} // the cache has all of it, or err
	taken  *pack.Installed
	err    error
}

// pull reads a piece of a package from a tenant's memory, and takes the package when it
// was the last one.
func (s *session) pull(m *lease.Message) {
	s.uploading.Lock()
	defer s.uploading.Unlock()
	there, refused, failed := false, "", ""
	u, err := s.uploadOf(m)
	last := err == nil && m.Offset+int64(m.Memory.Len) == m.Total
	if err == nil {
		err = s.feed(u, m, last)
	}
	if err == nil && last {
		there, refused = s.agent.take(u.digest, u.taken)
		failed = refused
	}
	if err != nil {
		failed = err.Error()
	}
	if last || err != nil {
		s.endUpload()
	}
	s.agent.with(func(n *lease.Node, now time.Duration) {
		if there || refused != "" {
			n.Found(now, m.Terms.Digest, there, refused)
		}
		n.Pulled(now, m, s.id, failed)
	})
}

// uploadOf is what a piece belongs to.
func (s *session) uploadOf(m *lease.Message) (*upload, error) {
	a := s.agent
	switch {
	case m.Total > a.cfg.MaxPackageBytes:
		return nil, fmt.Errorf("a package of %d bytes, and this agent takes up to %d", m.Total, a.cfg.MaxPackageBytes)
	case m.Memory.Len > lease.PieceBytes:
		return nil, fmt.Errorf("a piece of %d bytes, and this agent takes up to %d", m.Memory.Len, lease.PieceBytes)
	case m.Offset > 0:
		if s.upload == nil || s.upload.digest != m.Terms.Digest {
			return nil, errors.New("its beginning has not come")
		}
		return s.upload, nil
	}
	s.endUpload()
	region, err := s.endpoint.domain.Alloc(lease.PieceBytes, transport.LocalOnly)
	if err != nil {
		return nil, err
	}
	from, into := io.Pipe()
	u := &upload{digest: m.Terms.Digest, region: region, into: into, done: make(chan struct{})}
	s.upload = u
	a.ending.Go(func() {
		defer close(u.done)
		u.taken, u.err = a.cfg.Packages.Put(from, u.digest)
		from.CloseWithError(errors.Join(u.err, io.ErrClosedPipe)) // what comes after the end is not read
	})
	return u, nil
}

// feed hands a piece to the cache.
func (s *session) feed(u *upload, m *lease.Message, last bool) error {
	n := int(m.Memory.Len)
	if err := s.link.Read(u.region.Span(0, n), m.Memory); err != nil {
		return err
	}
	if err := u.region.Hold(); err != nil {
		return err
	}
	defer u.region.Release()
	if _, err := u.into.Write(u.region.Bytes()[:n]); err != nil {
		<-u.done
		if u.err == nil {
			return nil // it was there already
		}
		return u.err
	}
	if !last {
		return nil
	}
	u.into.Close()
	<-u.done
	return u.err
}

// endUpload forgets what has come, if it is not in the cache.
func (s *session) endUpload() {
	if u := s.upload; u != nil {
		u.into.CloseWithError(errors.New("the sender gave up"))
		<-u.done
		u.region.Close()
		s.upload = nil
	}
}
