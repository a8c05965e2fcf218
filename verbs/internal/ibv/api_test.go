package ibv

import (
	"context"

	"github.com/rfaas-go/rfaas/transport"
)

// The builds with cgo and without have the same API.
var (
	_ func() error                   = Load
	_ func() string                  = ForkNote
	_ func() ([]Device, error)       = Devices
	_ func(string) (*Context, error) = Open
	_ interface{ String() string }   = EventType(0)
	_ []error                        = []error{ErrMissing, ErrFull}
	_ [2]uint32                      = [...]uint32{MR{}.LKey, MR{}.RKey}
	_ uint32                         = QP{}.QPN
	_ [3]int                         = [...]int{QP{}.SendDepth, QP{}.RecvDepth, QP{}.InlineBytes}
	_ interface{ Close() error }     = (*MR)(nil)
	_ interface {
		QueryDevice() (DeviceAttr, error)
		QueryPort(int) (PortAttr, error)
		GIDs(int) ([]GID, error)
		Event() (Event, error)
		AllocPD() (*PD, error)
		NewChannel() (*Channel, error)
		NewCQ(int, *Channel) (*CQ, error)
		Close() error
	} = (*Context)(nil)
	_ interface {
		RegMR([]byte, int) (*MR, error)
		NewSRQ(int, int) (*SRQ, error)
		NewQP(QPInit) (*QP, error)
		Close() error
	} = (*PD)(nil)
	_ interface {
		Wait(context.Context) error
		Interrupt()
		Resume()
		Close() error
	} = (*Channel)(nil)
	_ interface {
		Depth() int
		Poll([]WC, int) (int, error)
		Arm(bool) error
		Close() error
	} = (*CQ)(nil)
	_ interface {
		Depth() int
		PostRecv([]transport.WorkRequest, uint64) (int, error)
		Close() error
	} = (*SRQ)(nil)
	_ interface {
		ToInit(int, int) error
		ToRTR(RTR) error
		ToRTS(RTS) error
		ToError() error
		Query() (QPState, error)
		PostSend([]transport.WorkRequest, uint64) (int, error)
		PostRecv([]transport.WorkRequest, uint64) (int, error)
		PostMarker(uint64) error
		Ring() error
		Close() error
	} = (*QP)(nil)
)
