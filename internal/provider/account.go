package provider

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Account counts the objects of an adapter that are open, by kind. Any goroutine may
// use it.
type Account struct {
	Provider string // named in errors

	mu   sync.Mutex
	open map[string]int
}

// Opened counts an object as open.
func (a *Account) Opened(kind string) { a.add(kind, 1) }

// Closed counts one as closed.
func (a *Account) Closed(kind string) { a.add(kind, -1) }

func (a *Account) add(kind string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[string]int{}
	}
	a.open[kind] += n
}

// Err is an error that lists what is open, nil if nothing is.
func (a *Account) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var left []string
	for kind, n := range a.open {
		if n != 0 {
			left = append(left, fmt.Sprintf("%d %s", n, kind))
		}
	}
	if left == nil {
		return nil
	}
	slices.Sort(left)
	return fmt.Errorf("%s: closed while these are open: %s", a.Provider, strings.Join(left, ", "))
}
