package transport

import "fmt"

// Completion is the outcome of a work request. It has 32 bytes and no pointers.
type Completion struct {
	ID     uint64 // of the work request
	Conn   uint32 // Conn.ID of the connection
	Bytes  uint32 // received bytes (OpRecv) or bytes written by the peer (OpRecvImm)
	Imm    uint32 // immediate data, if HasImm
	Vendor uint32 // the provider's own error code, for support; 0 if it has none
	Op     Op
	Status Status
	HasImm bool
	_      [5]byte
}

// Err is nil for StatusOK and otherwise an error that names the operation and
// explains the status. Conn.Err says more about why a connection failed.
func (c *Completion) Err() error {
	if c.Status == StatusOK {
		return nil
	}
	return &StatusError{Op: c.Op, ID: c.ID, Status: c.Status, Vendor: c.Vendor}
}

// Status is the outcome of a work request. All but StatusOK take the connection
// to the error state, in which everything else on it is flushed. Other
// connections are not affected.
type Status uint8

// The statuses. The comment names the verbs status (ibv_wc_status) that means
// the same.
const (
	StatusOK                   Status = iota // IBV_WC_SUCCESS
	StatusLocalLength                        // IBV_WC_LOC_LEN_ERR
	StatusLocalProtection                    // IBV_WC_LOC_PROT_ERR
	StatusLocalOperation                     // IBV_WC_LOC_QP_OP_ERR
	StatusFlushed                            // IBV_WC_WR_FLUSH_ERR
	StatusRemoteInvalidRequest               // IBV_WC_REM_INV_REQ_ERR
	StatusRemoteAccess                       // IBV_WC_REM_ACCESS_ERR
	StatusRemoteOperation                    // IBV_WC_REM_OP_ERR
	StatusRetryExceeded                      // IBV_WC_RETRY_EXC_ERR
	StatusRNRRetryExceeded                   // IBV_WC_RNR_RETRY_EXC_ERR
	StatusFatal                              // IBV_WC_FATAL_ERR
	statusCount
)

var statusText = [statusCount]struct{ name, hint string }{
	{"ok", ""},
	{"local length error", "a message was longer than the receive posted for it; post larger receives"},
	{"local protection error", "the request names a local region that was closed or does not allow this"},
	{"local operation error", "the provider could not carry out the request; see Conn.Err"},
	{"flushed", "the connection was closed or failed before this request was done; see Conn.Err"},
	{"remote invalid request", "the message was longer than the peer's receive, or not allowed there; the peer must post larger receives"},
	{"remote access error", "the rkey is unknown or was revoked, the range lies outside its region, or the region does not grant this access"},
	{"remote operation error", "the peer could not carry out the request; look at the peer's log"},
	{"retries exhausted", "the peer does not answer: it ended, was cut off, or its connection is in error"},
	{"receiver-not-ready retries exhausted", "the peer has no receive posted; post more receives, or raise the RNR timer and retry count"},
	{"fatal error", "the device failed"},
}

// String is the status in words.
func (s Status) String() string {
	if s < statusCount {
		return statusText[s].name
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// Hint says what usually causes the status and what to look at. It is empty
// for StatusOK.
func (s Status) Hint() string {
	if s < statusCount {
		return statusText[s].hint
	}
	return ""
}

// StatusError is a failed completion as an error.
type StatusError struct {
	Op     Op
	ID     uint64
	Status Status
	Vendor uint32
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("transport: %v (request %d): %v: %s", e.Op, e.ID, e.Status, e.Status.Hint())
	if e.Vendor != 0 {
		s += fmt.Sprintf(" (vendor code %#x)", e.Vendor)
	}
	return s
}
