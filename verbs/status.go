package verbs

import (
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// statuses translates enum ibv_wc_status; others are fatal.
var statuses = [...]transport.Status{
	0:  transport.StatusOK,
	1:  transport.StatusLocalLength,
	2:  transport.StatusLocalOperation,
	4:  transport.StatusLocalProtection,
	5:  transport.StatusFlushed,
	8:  transport.StatusLocalProtection, // LOC_ACCESS_ERR
	9:  transport.StatusRemoteInvalidRequest,
	10: transport.StatusRemoteAccess,
	11: transport.StatusRemoteOperation,
	12: transport.StatusRetryExceeded,
	13: transport.StatusRNRRetryExceeded,
}

// status is the status of a work completion, and the vendor code.
func status(wc *ibv.WC) (s transport.Status, vendor uint32) {
	if wc.Status == 0 {
		return transport.StatusOK, 0
	}
	if int(wc.Status) < len(statuses) {
		s = statuses[wc.Status]
	}
	if s == transport.StatusOK {
		s = transport.StatusFatal
	}
	return s, wc.VendorErr
}

// receiveStatus is the same for a receive. When the peer violated access rights,
// some drivers complete a receive with the peer's error; here it counts as flushed.
func receiveStatus(wc *ibv.WC) (transport.Status, uint32) {
	s, vendor := status(wc)
	switch s {
	case transport.StatusRemoteInvalidRequest, transport.StatusRemoteAccess, transport.StatusRemoteOperation:
		s = transport.StatusFlushed
	}
	return s, vendor
}
