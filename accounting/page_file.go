package accounting

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/names"
)

// PageFile is a page as the agent has it: a file, which it does not map. Any goroutine
// may call Header, File, Path and Usage, and not after Close or Remove.
type PageFile struct {
	header PageHeader
	path   string
	file   *os.File
}

// CreatePage makes the file of a page in a folder, which must exist, with all words 0;
// without a folder ("") it is in memory, and gone when nothing has it open.
// The name is made of the header's fields. The file is there as a whole or not at
// all, also when the process is killed; after a power failure it may be damaged. A
// page that is there already is fs.ErrExist. It is to be closed or removed.
func CreatePage(folder string, header PageHeader) (*PageFile, error) {
	if err := names.Check(header.Tenant); err != nil {
		return nil, fmt.Errorf("accounting: page: tenant: %w", err)
	}
	path := filepath.Join(folder, header.name())
	if folder == "" {
		return createInMemory(path, header)
	}
	file, err := createWhole(path, header.encode(), false) // a sync would slow grants
	if err != nil {
		return nil, fmt.Errorf("accounting: %w", err)
	}
	return &PageFile{header, path, file}, nil
}

// createInMemory makes a page that no folder has. Its name is that of its file all the same.
func createInMemory(path string, header PageHeader) (*PageFile, error) {
	fd, err := unix.MemfdCreate("page", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("accounting: memory for a page: memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), path)
	if _, err = file.Write(header.encode()); err == nil {
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("accounting: memory for a page: %w", err)
	}
	return &PageFile{header, path, file}, nil
}

// OpenPage opens a page to read it, for instance one that an earlier life of the agent
// made. All of it is checked; what is not as it was made, or has another name, is
// ErrPageDamaged. It is to be closed or removed.
func OpenPage(path string) (*PageFile, error) {
	p, _, err := openPage(path)
	return p, err
}

func openPage(path string) (*PageFile, Usage, error) {
	// A link is not followed, and a FIFO does not block.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, Usage{}, fmt.Errorf("accounting: %w", err)
	}
	p := &PageFile{path: path, file: file}
	var usage Usage
	p.header, usage, err = p.read()
	if err != nil {
		file.Close()
		return nil, Usage{}, err
	}
	return p, usage, nil
}

// read reads and checks everything.
func (p *PageFile) read() (PageHeader, Usage, error) {
	info, err := p.file.Stat()
	if err != nil {
		return PageHeader{}, Usage{}, fmt.Errorf("accounting: %w", err)
	}
	if !info.Mode().IsRegular() {
		return PageHeader{}, Usage{}, p.wrong(fmt.Errorf("%w: it is not a regular file", ErrPageDamaged))
	}
	var b [PageBytes + 1]byte // one byte more shows that the file has grown
	n, err := preadPage(p.file, b[:])
	if err != nil {
		return PageHeader{}, Usage{}, fmt.Errorf("accounting: %w", err)
	}
	header, usage, err := decodePage(b[:n])
	if err == nil {
		err = checkPageName(p.path, header)
	}
	if err != nil {
		return PageHeader{}, Usage{}, p.wrong(err)
	}
	return header, usage, nil
}

// preadPage reads from the beginning of a page, up to its end. The kernel copies
// aligned words whole, so that a word is as it was at some moment.
func preadPage(file *os.File, b []byte) (int, error) {
	n, err := file.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (p *PageFile) wrong(err error) error { return fmt.Errorf("accounting: page %s: %w", p.path, err) }

// Header says whose page it is.
func (p *PageFile) Header() PageHeader { return p.header }

// Path is where the file is.
func (p *PageFile) Path() string { return p.path }

// File is for the process that maps the page, see MapPage. It remains the PageFile's.
// A process that has it can also make the file larger: limit the size of that process's
// files (RLIMIT_FSIZE). After OpenPage it is for reading only.
func (p *PageFile) File() *os.File { return p.file }

// Usage is what the words are. The page is checked each time: one that is no longer
// as it was made is ErrPageDamaged. Words that a tenant's code can write may have any
// value, and may be less than they were.
func (p *PageFile) Usage() (Usage, error) {
	_, usage, err := p.read()
	return usage, err
}

// Close closes the file and leaves it where it is.
func (p *PageFile) Close() error { return p.file.Close() }

// Remove closes the file and removes it.
func (p *PageFile) Remove() error {
	err := p.file.Close()
	if filepath.Dir(p.path) == "." { // it is in memory
		return err
	}
	return errors.Join(err, os.Remove(p.path))
}
