package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	rules "github.com/rfaas-go/rfaas/internal/names"
	"github.com/rfaas-go/rfaas/transport"
)

// role is what a token is for.
type role string

const (
	tenantRole role = "tenant" // leases, and is who pays
	nodeRole   role = "node"   // registers the node of its name
	ownerRole  role = "owner"  // lists and ends leases, drains
)

// roles are all of them.
var roles = []role{tenantRole, nodeRole, ownerRole}

// identity is whose a token is.
type identity struct {
	role role
	name string
}

func (i identity) String() string { return fmt.Sprintf("%s %s", i.role, i.name) }

// tokens are those that a server knows. Only their hashes are kept.
type tokens struct{ known []knownToken }

type knownToken struct {
	hash [sha256.Size]byte
	identity
}

const (
	maxTokensBytes  = 1 << 20
	minTokenBytes   = 32 // of what it stands for
	makeToken       = "openssl rand -hex 32"
	tokenFileFormat = "one line: the token, as made with '" + makeToken + "'"
)

// readTokens reads a file of tokens, which only its owner may be able to read.
func readTokens(path string) (*tokens, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	t, err := parseTokens(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return t, nil
}

// parseTokens reads lines of ROLE NAME TOKEN. Errors begin with the line's number, and
// quote no token. A name may have several: so they are replaced without a gap.
func parseTokens(text []byte) (*tokens, error) {
	t := &tokens{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxTokensBytes+1)
	for number := 1; lines.Scan(); number++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		k, err := parseTokenLine(fields)
		if err == nil {
			if _, twice := t.find(k.hash); twice {
				err = errors.New("the token was there before: give each identity its own")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %w", number, err)
		}
		t.known = append(t.known, k)
	}
	if len(t.known) == 0 {
		return nil, fmt.Errorf("1: there is no token in it; write lines of ROLE NAME TOKEN, with a TOKEN of '%s'", makeToken)
	}
	return t, lines.Err()
}

func parseTokenLine(fields []string) (knownToken, error) {
	if len(fields) != 3 {
		return knownToken{}, fmt.Errorf("has %d fields: must be ROLE NAME TOKEN", len(fields))
	}
	k := knownToken{identity: identity{role(fields[0]), fields[1]}}
	if !slices.Contains(roles, k.role) {
		return knownToken{}, errors.New("begins with no ROLE: must be tenant, node or owner")
	}
	if checkToken(k.name) == nil {
		return knownToken{}, errors.New("has a token where the name is to be: must be ROLE NAME TOKEN")
	}
	if err := rules.Check(k.name); err != nil {
		return knownToken{}, err
	}
	if err := checkToken(fields[2]); err != nil {
		return knownToken{}, err
	}
	k.hash = sha256.Sum256([]byte(fields[2]))
	return k, nil
}

// checkToken says whether a text is long enough for a token, in hex or base64url.
func checkToken(text string) error {
	if len(text) > lease.MaxTokenBytes {
		return fmt.Errorf("the token has %d characters: must have %d at most", len(text), lease.MaxTokenBytes)
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		b, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	}
	switch {
	case err != nil:
		return fmt.Errorf("the token is neither hex nor base64url; make one with '%s'", makeToken)
	case len(b) < minTokenBytes:
		return fmt.Errorf("the token has %d bytes: must have %d or more; make one with '%s'", len(b), minTokenBytes, makeToken)
	}
	return nil
}

// readToken reads a file with one token, which only its owner may be able to read.
func readToken(path string) (string, error) {
	text, err := readSecret(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if err := checkToken(token); err != nil {
		return "", fmt.Errorf("%s: %w; the file has %s", path, err, tokenFileFormat)
	}
	return token, nil
}

// readSecret reads a file that nobody but its owner can read, who is this process's user
// or root.
func readSecret(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe keeps nobody waiting
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
	text, err := io.ReadAll(io.LimitReader(f, maxTokensBytes+1))
	if err == nil && len(text) > maxTokensBytes {
		err = fmt.Errorf("%s: has more than %d bytes", path, maxTokensBytes)
	}
	return text, err
}

// find compares with every token that there is, so that the time it takes tells nothing.
func (t *tokens) find(hash [sha256.Size]byte) (who identity, ok bool) {
	for i := range t.known {
		if subtle.ConstantTimeCompare(t.known[i].hash[:], hash[:]) == 1 {
			who, ok = t.known[i].identity, true
		}
	}
	return who, ok
}

// identify says whose a token is, who has to have one of some roles.
func (t *tokens) identify(token []byte, wanted ...role) (identity, error) {
	if len(token) == 0 {
		return identity{}, fmt.Errorf("there is no token, and one of %s is needed here: give it with --token-file", anyOf(wanted))
	}
	who, ok := t.find(sha256.Sum256(token))
	switch {
	case !ok:
		return identity{}, errors.New("the token is not known here")
	case !slices.Contains(wanted, who.role):
		return identity{}, fmt.Errorf("the token is that of the %v, and one of %s is needed here", who, anyOf(wanted))
	}
	return who, nil
}

func anyOf(wanted []role) string {
	var all []string
	for _, r := range wanted {
		article := "a "
		if r == ownerRole {
			article = "an "
		}
		all = append(all, article+string(r))
	}
	return strings.Join(all, " or ")
}

// ofRequest says who sends a request.
func (t *tokens) ofRequest(r *http.Request, wanted ...role) (identity, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	return t.identify([]byte(token), wanted...)
}

// authorize is a manager.Config's: nodes register under their own names only.
func (t *tokens) authorize(r *http.Request, as manager.Role) error {
	if as != manager.Agent {
		_, err := t.ofRequest(r, roles...)
		return err
	}
	who, err := t.ofRequest(r, nodeRole)
	if id := r.PathValue("id"); err == nil && id != who.name {
		err = fmt.Errorf("the token is that of the %v, and not of %.64q", who, id)
	}
	return err
}

// authenticate is an agent.Config's: over TCP the token says who the tenant is, whatever
// it calls itself. Over Unix sockets the kernel does.
func (t *tokens) authenticate(peer transport.Peer, h *lease.Hello) (tenant string, err error) {
	if _, ok := peer.Address.(*net.UnixAddr); ok {
		return agent.Local(peer, h)
	}
	who, err := t.identify(h.Token, tenantRole)
	return who.name, err
}

// forOwners has requests answered that are the owner's.
func (t *tokens) forOwners(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := t.ofRequest(r, ownerRole); err != nil {
			refuseRequest(w, http.StatusForbidden, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}
