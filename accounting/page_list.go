package accounting

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// PageInfo is what a page says.
type PageInfo struct {
	Path   string
	Header PageHeader
	Usage  Usage
}

// ListPages reads all pages of a folder, by name. A page that is damaged or cannot be
// read yields an error, which names the file, and its Path; the rest follow. Files
// with other names are left out, and so are pages that are removed meanwhile.
func ListPages(folder string) iter.Seq2[PageInfo, error] {
	return func(yield func(PageInfo, error) bool) {
		files, err := os.ReadDir(folder)
		if err != nil {
			yield(PageInfo{}, fmt.Errorf("accounting: pages: %w", err))
			return
		}
		for _, file := range files {
			if !strings.HasSuffix(file.Name(), pageSuffix) {
				continue
			}
			info, err := readPage(filepath.Join(folder, file.Name()))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

func readPage(path string) (PageInfo, error) {
	p, usage, err := openPage(path)
	if err != nil {
		return PageInfo{Path: path}, err
	}
	defer p.Close()
	return PageInfo{path, p.header, usage}, nil
}
