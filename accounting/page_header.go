package accounting

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/rfaas-go/rfaas/internal/names"
)

// PageBytes is the size of a page.
const PageBytes = 4096

const (
	pageMagic   = "rfaaspag"
	pageVersion = 1
	pageSuffix  = ".page"

	// The layout. All words are in one cache line: they have one writer, and
	// are read only now and then.
	pageVersionAt = 8
	pageWorkerAt  = 12
	pageEpochAt   = 16
	pageLeaseAt   = 24
	pageTenantAt  = 32 // filled up with zeros
	pageWordsAt   = 128
	pageWordsEnd  = pageWordsAt + 8*Quantities
)

// ErrPageDamaged means that a page is not as it was made. Code of its tenant can do
// that; nothing that the page says counts.
var ErrPageDamaged = errors.New("the page is damaged")

// PageHeader says whose words are in a page.
type PageHeader struct {
	Epoch  uint64 // of the agent that granted the lease
	Lease  uint64
	Worker uint32 // its number within the lease
	Tenant string // passes names.Check
}

// name is that of the page's file. It has all of the header, since code of the tenant
// can write to the header in the file and cannot rename the file. Escaped, the
// longest name has 250 bytes, and file systems take 255.
func (h PageHeader) name() string {
	return fmt.Sprintf("%d-%d-%d-%s%s", h.Epoch, h.Lease, h.Worker, url.PathEscape(h.Tenant), pageSuffix)
}

// encode is the page as it is made: with words of 0.
func (h PageHeader) encode() []byte {
	b := make([]byte, PageBytes)
	copy(b, pageMagic)
	binary.LittleEndian.PutUint32(b[pageVersionAt:], pageVersion)
	binary.LittleEndian.PutUint32(b[pageWorkerAt:], h.Worker)
	binary.LittleEndian.PutUint64(b[pageEpochAt:], h.Epoch)
	binary.LittleEndian.PutUint64(b[pageLeaseAt:], h.Lease)
	copy(b[pageTenantAt:pageTenantAt+names.MaxBytes], h.Tenant)
	return b
}

// decodePage checks every byte of a page and returns what it says.
func decodePage(b []byte) (h PageHeader, u Usage, err error) {
	if len(b) != PageBytes {
		return h, u, fmt.Errorf("%w: it has %d bytes and must have %d", ErrPageDamaged, len(b), PageBytes)
	}
	if string(b[:len(pageMagic)]) != pageMagic {
		return h, u, fmt.Errorf("%w: it does not begin with %q", ErrPageDamaged, pageMagic)
	}
	if v := binary.LittleEndian.Uint32(b[pageVersionAt:]); v != pageVersion {
		return h, u, fmt.Errorf("%w: it has version %d, and this program reads %d", ErrPageDamaged, v, pageVersion)
	}
	h = PageHeader{
		Epoch:  binary.LittleEndian.Uint64(b[pageEpochAt:]),
		Lease:  binary.LittleEndian.Uint64(b[pageLeaseAt:]),
		Worker: binary.LittleEndian.Uint32(b[pageWorkerAt:]),
		Tenant: string(bytes.TrimRight(b[pageTenantAt:pageTenantAt+names.MaxBytes], "\x00")),
	}
	if err := names.Check(h.Tenant); err != nil {
		return h, u, fmt.Errorf("%w: tenant: %w", ErrPageDamaged, err)
	}
	// What is neither header nor words is zero.
	made := h.encode()
	if !bytes.Equal(made[:pageWordsAt], b[:pageWordsAt]) || !bytes.Equal(made[pageWordsEnd:], b[pageWordsEnd:]) {
		return h, u, fmt.Errorf("%w: it has bytes where there should be none", ErrPageDamaged)
	}
	for q := range u {
		u[q] = binary.NativeEndian.Uint64(b[pageWordsAt+8*q:]) // as the writer stores them
	}
	return h, u, nil
}

// checkPageName compares a header with its file's name.
func checkPageName(path string, h PageHeader) error {
	if have, want := filepath.Base(path), h.name(); have != want {
		return fmt.Errorf("%w: its header is that of %s", ErrPageDamaged, want)
	}
	return nil
}
