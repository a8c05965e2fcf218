package pack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Digest is the address of a package: the SHA-256 of its archive. The zero value means
// none.
type Digest [sha256.Size]byte

const digestPrefix = "sha256:"

// ErrDigest means that a package is not the requested one.
var ErrDigest = errors.New("the package has another digest")

// ParseDigest parses a digest in the form of String; the prefix may be missing.
func ParseDigest(s string) (d Digest, err error) {
	digits := strings.TrimPrefix(s, digestPrefix)
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(d) || strings.ToLower(digits) != digits {
		return Digest{}, fmt.Errorf("pack: %q is not a digest: must be sha256: and %d hexadecimal digits in lower case", s, 2*len(d))
	}
	return Digest(b), nil
}

// String returns "sha256:" and 64 hexadecimal digits.
func (d Digest) String() string { return digestPrefix + hex.EncodeToString(d[:]) }

// IsZero reports whether the digest is the zero value.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}

// check compares the digest of a package with the wanted one, unless that is zero.
func (d Digest) check(wanted Digest) error {
	if wanted.IsZero() || d == wanted {
		return nil
	}
	return fmt.Errorf("pack: wanted %v, got %v: %w; it was damaged or replaced in transit: fetch it again", wanted, d, ErrDigest)
}
