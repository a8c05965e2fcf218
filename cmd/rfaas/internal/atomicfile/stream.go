package atomicfile

import "path/filepath"

// File is a file that is written piece by piece and gets its name at the end.
// One goroutine at a time may use it.
type File struct {
	file *file
	path string
}

// Create begins a file that Commit gives the path. Either Commit or Discard is
// to be called.
func Create(path string) (*File, error) {
	f, err := create(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return &File{f, path}, nil
}

// Write implements io.Writer.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	if err != nil {
		return n, pathError("write", f.path, err)
	}
	return n, nil
}

// Commit gives the file its name and replaces what has it. On error there is what
// was there before. As with Write, nothing is synced.
func (f *File) Commit() error {
	if err := f.file.commit(f.path); err != nil {
		f.file.discard()
		return pathError("write", f.path, err)
	}
	return nil
}

// Discard gives the file up.
func (f *File) Discard() { f.file.discard() }
