// Package tokens authenticates clients over TCP: a server's file says whose each token is,
// and a client has its own in a file, and one with the certificates that it checks servers by.
package tokens

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Role is what a token is for.
type Role string

// The roles.
const (
	Tenant Role = "tenant" // leases, and pays
	Node   Role = "node"   // registers the node of its name
	Owner  Role = "owner"  // lists and ends leases, drains
)

// Roles are all of them.
var Roles = []Role{Tenant, Node, Owner}

// Identity is whose a token is.
type Identity struct {
	Role Role
	Name string
}

func (i Identity) String() string { return fmt.Sprintf("%s %s", i.Role, i.Name) }

// Known are the tokens that a server knows. It does not change: any goroutine may use it.
type Known struct{ all []known }

// known is a token; only its hash is kept.
type known struct {
	hash [sha256.Size]byte
	Identity
}

// find compares with every token, so that the time it takes reveals nothing.
func (k *Known) find(hash [sha256.Size]byte) (who Identity, ok bool) {
	for i := range k.all {
		if subtle.ConstantTimeCompare(k.all[i].hash[:], hash[:]) == 1 {
			who, ok = k.all[i].Identity, true
		}
	}
	return who, ok
}

// Identify returns whose a token is, which has to have one of the wanted roles. The error
// is for the client.
func (k *Known) Identify(token []byte, wanted ...Role) (Identity, error) {
	if len(token) == 0 {
		return Identity{}, fmt.Errorf("there is no token, and one of %s is needed here: give it with --token-file", anyOf(wanted))
	}
	who, ok := k.find(sha256.Sum256(token))
	switch {
	case !ok:
		return Identity{}, errors.New("the token is not known here")
	case !slices.Contains(wanted, who.Role):
		return Identity{}, fmt.Errorf("the token is that of the %v, and one of %s is needed here", who, anyOf(wanted))
	}
	return who, nil
}

func anyOf(wanted []Role) string {
	var all []string
	for _, r := range wanted {
		article := "a "
		if r == Owner {
			article = "an "
		}
		all = append(all, article+string(r))
	}
	return strings.Join(all, " or ")
}

// OfRequest identifies the sender of a request by its bearer token, as Identify does.
func (k *Known) OfRequest(r *http.Request, wanted ...Role) (Identity, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	return k.Identify([]byte(token), wanted...)
}
