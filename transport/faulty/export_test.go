package faulty

import (
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// Advance has time pass for an adapter of this package, which must be idle.
func Advance(a transport.Adapter, by time.Duration) {
	inner := a.(*sharingAdapter)
	inner.start = inner.start.Add(-by)
}
