package tokens

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/lease"
	rules "github.com/rfaas-go/rfaas/internal/names"
)

// Make is the command that makes a token.
const Make = "openssl rand -hex 32"

const (
	maxFileBytes = 1 << 20
	minBytes     = 32 // of what a token stands for
	fileFormat   = "one line: the token, as made with '" + Make + "'"
)

// Read reads a file of tokens, which only its owner may be able to read.
func Read(path string) (*Known, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	t, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return t, nil
}

// parse reads lines of ROLE NAME TOKEN. Errors begin with the line's number, and
// quote no token. A name may have several: so they are replaced without a gap.
func parse(text []byte) (*Known, error) {
	t := &Known{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxFileBytes+1)
	for number := 1; lines.Scan(); number++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		k, err := parseLine(fields)
		if err == nil {
			if _, twice := t.find(k.hash); twice {
				err = errors.New("the token was there before: give each identity its own")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %w", number, err)
		}
		t.all = append(t.all, k)
	}
	if len(t.all) == 0 {
		return nil, fmt.Errorf("1: there is no token in it; write lines of ROLE NAME TOKEN, with a TOKEN of '%s'", Make)
	}
	return t, lines.Err()
}

func parseLine(fields []string) (known, error) {
	if len(fields) != 3 {
		return known{}, fmt.Errorf("has %d fields: must be ROLE NAME TOKEN", len(fields))
	}
	k := known{Identity: Identity{Role(fields[0]), fields[1]}}
	if !slices.Contains(Roles, k.Role) {
		return known{}, errors.New("begins with no ROLE: must be tenant, node or owner")
	}
	if check(k.Name) == nil {
		return known{}, errors.New("has a token where the name is to be: must be ROLE NAME TOKEN")
	}
	if err := rules.Check(k.Name); err != nil {
		return known{}, err
	}
	if err := check(fields[2]); err != nil {
		return known{}, err
	}
	k.hash = sha256.Sum256([]byte(fields[2]))
	return k, nil
}

// check says whether a text is long enough for a token, in hex or base64url.
func check(text string) error {
	if len(text) > lease.MaxTokenBytes {
		return fmt.Errorf("the token has %d characters: must have %d at most", len(text), lease.MaxTokenBytes)
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		b, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	}
	switch {
	case err != nil:
		return fmt.Errorf("the token is neither hex nor base64url; make one with '%s'", Make)
	case len(b) < minBytes:
		return fmt.Errorf("the token has %d bytes: must have %d or more; make one with '%s'", len(b), minBytes, Make)
	}
	return nil
}

// ReadToken reads a file with one token, which only its owner may be able to read.
func ReadToken(path string) (string, error) {
	text, err := readSecret(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if err := check(token); err != nil {
		return "", fmt.Errorf("%s: %w; the file has %s", path, err, fileFormat)
	}
	return token, nil
}

// readSecret reads a file that only its owner can read: this process's user or root.
func readSecret(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe does not block
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case s.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, fmt.Errorf("%s: is no regular file", path)
	case s.Mode&0o077 != 0:
		return nil, fmt.Errorf("%s: has the mode %04o, and only its owner may be able to read it: chmod 600 %[1]s", path, s.Mode&0o7777)
	case s.Uid != 0 && int(s.Uid) != os.Geteuid():
		return nil, fmt.Errorf("%s: belongs to user %d: must be user %d's, or root's", path, s.Uid, os.Geteuid())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("%s: has more than %d bytes", path, maxFileBytes)
	}
	return text, err
}
