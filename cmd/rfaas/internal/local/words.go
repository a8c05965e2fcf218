package local

import (
	"fmt"
	"strings"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke"
)

// How says how a worker was lost, in words for the user, and how its function gets more
// of what it had too little of.
func How(e *alloc.LostError) string {
	switch e.Reason {
	case lease.WorkerOverran:
		return e.How + "; allow more with --slot-bytes"
	case lease.WorkerOutOfMemory:
		return e.How + "; allow its package more with rfaas pack --memory"
	case lease.WorkerOverstayed:
		return e.How + "; allow its package more with rfaas pack --time-limit"
	}
	return e.How
}

// TooLarge is the error of a call that was too large, in words for the user. moreRoom says
// how a result gets more room.
func TooLarge(e *invoke.Error, moreRoom string) string {
	said, _, _ := strings.Cut(e.Message, "; ") // the rest is for programs
	return fmt.Sprintf("too large: %s; allow more with %s", said, moreRoom)
}
