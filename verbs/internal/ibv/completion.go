package ibv

import "encoding/binary"

// WC is a work completion: struct ibv_wc.
type WC struct {
	WRID         uint64
	Status       uint32
	Opcode       uint32 // valid if Status is WCSuccess
	VendorErr    uint32
	ByteLen      uint32
	Imm          uint32 // as stored by the device, big-endian: see Immediate
	QPN          uint32
	SrcQP        uint32
	WCFlags      uint32
	PKeyIndex    uint16
	SLID         uint16
	SL           uint8
	DLIDPathBits uint8
	_            [2]byte
}

// Immediate is the immediate data in host byte order. There is some if WCFlags
// has WithImm.
func (w *WC) Immediate() uint32 {
	var stored [4]byte
	binary.NativeEndian.PutUint32(stored[:], w.Imm)
	return binary.BigEndian.Uint32(stored[:])
}

// WithImm is the bit of WC.WCFlags for immediate data.
const WithImm = 1 << 1

// Values of WC.Opcode.
const (
	WCSend            = 0
	WCRDMAWrite       = 1
	WCRDMARead        = 2
	WCCompSwap        = 3
	WCFetchAdd        = 4
	WCRecv            = 128
	WCRecvRDMAWithImm = 129
)

// Values of WC.Status.
const (
	WCSuccess = iota
	WCLocLenErr
	WCLocQPOpErr
	WCLocEECOpErr
	WCLocProtErr
	WCWRFlushErr
	WCMWBindErr
	WCBadRespErr
	WCLocAccessErr
	WCRemInvReqErr
	WCRemAccessErr
	WCRemOpErr
	WCRetryExcErr
	WCRNRRetryExcErr
	WCLocRDDViolErr
	WCRemInvRdReqErr
	WCRemAbortErr
	WCInvEECNErr
	WCInvEECStateErr
	WCFatalErr
	WCRespTimeoutErr
	WCGeneralErr
	WCTMErr
	WCTMRndvIncomplete
)
