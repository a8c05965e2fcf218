//go:build !cgo || !linux

package ibv

import (
	"context"
	"errors"

	"github.com/rfaas-go/rfaas/transport"
)

// ErrMissing is returned by everything in a build without cgo.
var ErrMissing = errors.New("verbs is not available: this build has no cgo (build for Linux with CGO_ENABLED=1 and a C compiler)")

// Load returns ErrMissing.
func Load() error { return ErrMissing }

// ForkNote is empty.
func ForkNote() string { return "" }

// Devices returns ErrMissing.
func Devices() ([]Device, error) { return nil, ErrMissing }

// Open returns ErrMissing.
func Open(string) (*Context, error) { return nil, ErrMissing }

// String names the event's number: the names are the library's.
func (t EventType) String() string { return eventNumber(t) }

// None of these can be made; their methods exist so that users compile.
type (
	Context struct{}
	PD      struct{}
	MR      struct{ LKey, RKey uint32 }
	Channel struct{}
	CQ      struct{}
	SRQ     struct{}
	QP      struct {
		QPN                  uint32
		SendDepth, RecvDepth int
		InlineBytes          int
	}
)

func (*Context) Close() error                     { return ErrMissing }
func (*Context) QueryDevice() (DeviceAttr, error) { return DeviceAttr{}, ErrMissing }
func (*Context) QueryPort(int) (PortAttr, error)  { return PortAttr{}, ErrMissing }
func (*Context) GIDs(int) ([]GID, error)          { return nil, ErrMissing }
func (*Context) Event() (Event, error)            { return Event{}, ErrMissing }
func (*Context) AllocPD() (*PD, error)            { return nil, ErrMissing }
func (*Context) NewChannel() (*Channel, error)    { return nil, ErrMissing }
func (*Context) NewCQ(int, *Channel) (*CQ, error) { return nil, ErrMissing }
func (*PD) Close() error                          { return ErrMissing }
func (*PD) RegMR([]byte, int) (*MR, error)        { return nil, ErrMissing }
func (*PD) NewSRQ(int, int) (*SRQ, error)         { return nil, ErrMissing }
func (*PD) NewQP(QPInit) (*QP, error)             { return nil, ErrMissing }
func (*MR) Close() error                          { return ErrMissing }
func (*Channel) Wait(context.Context) error       { return ErrMissing }
func (*Channel) Close() error                     { return ErrMissing }
func (*CQ) Poll([]WC, int) (int, error)           { return 0, ErrMissing }
func (*CQ) Arm(bool) error                        { return ErrMissing }
func (*CQ) Close() error                          { return ErrMissing }
func (*SRQ) Close() error                         { return ErrMissing }
func (*QP) ToInit(int, int) error                 { return ErrMissing }
func (*QP) ToRTR(RTR) error                       { return ErrMissing }
func (*QP) ToRTS(RTS) error                       { return ErrMissing }
func (*QP) ToError() error                        { return ErrMissing }
func (*QP) Query() (QPState, error)               { return QPState{}, ErrMissing }
func (*QP) PostMarker(uint64) error               { return ErrMissing }
func (*QP) Ring() error                           { return ErrMissing }
func (*QP) Close() error                          { return ErrMissing }

func (*SRQ) PostRecv([]transport.WorkRequest, uint64) (int, error) { return 0, ErrMissing }
func (*QP) PostSend([]transport.WorkRequest, uint64) (int, error)  { return 0, ErrMissing }
func (*QP) PostRecv([]transport.WorkRequest, uint64) (int, error)  { return 0, ErrMissing }
