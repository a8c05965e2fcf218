//go:build cgo && linux

package ibv

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"syscall"
)

// ToInit goes from Reset to Init: receives can be posted. access is a sum of the
// AccessRemote constants, what the peer may do.
func (q *QP) ToInit(port, access int) error {
	p, err := byteOf("port", port)
	if err != nil {
		return err
	}
	attr := C.struct_abi_qp_attr{qp_state: C.ABI_QPS_INIT, port_num: p, qp_access_flags: C.uint(access)}
	return q.modify("init", &attr, C.ABI_QP_STATE|C.ABI_QP_PKEY_INDEX|C.ABI_QP_PORT|C.ABI_QP_ACCESS_FLAGS)
}

// ToRTR goes from Init to ready-to-receive.
func (q *QP) ToRTR(r RTR) error {
	mtu, err := mtuCode(r.MTU)
	if err != nil {
		return err
	}
	var b [7]C.uint8_t
	for i, f := range []struct {
		name  string
		value int
	}{
		{"MaxDestRdAtomic", r.MaxDestRdAtomic}, {"MinRNRTimer", r.MinRNRTimer}, {"Port", r.Port}, {"SGIDIndex", r.SGIDIndex},
		{"SL", r.SL}, {"TrafficClass", r.TrafficClass}, {"HopLimit", r.HopLimit},
	} {
		if b[i], err = byteOf(f.name, f.value); err != nil {
			return err
		}
	}
	attr := C.struct_abi_qp_attr{
		qp_state:           C.ABI_QPS_RTR,
		path_mtu:           mtu,
		dest_qp_num:        C.uint32_t(r.DestQPN),
		rq_psn:             C.uint32_t(r.PSN),
		max_dest_rd_atomic: b[0],
		min_rnr_timer:      b[1],
		ah_attr:            C.struct_abi_ah_attr{dlid: C.uint16_t(r.DLID), sl: b[4], port_num: b[2]},
	}
	if r.Global {
		attr.ah_attr.is_global = 1
		attr.ah_attr.grh = C.struct_abi_global_route{dgid: r.DGID, sgid_index: b[3], traffic_class: b[5], hop_limit: b[6]}
	}
	return q.modify("ready-to-receive", &attr, C.ABI_QP_STATE|C.ABI_QP_AV|C.ABI_QP_PATH_MTU|C.ABI_QP_DEST_QPN|C.ABI_QP_RQ_PSN|
		C.ABI_QP_MAX_DEST_RD_ATOMIC|C.ABI_QP_MIN_RNR_TIMER)
}

// ToRTS goes from ready-to-receive to ready-to-send.
func (q *QP) ToRTS(r RTS) error {
	var b [4]C.uint8_t
	var err error
	for i, f := range []struct {
		name  string
		value int
	}{{"MaxRdAtomic", r.MaxRdAtomic}, {"Timeout", r.Timeout}, {"RetryCount", r.RetryCount}, {"RNRRetry", r.RNRRetry}} {
		if b[i], err = byteOf(f.name, f.value); err != nil {
			return err
		}
	}
	attr := C.struct_abi_qp_attr{
		qp_state:      C.ABI_QPS_RTS,
		sq_psn:        C.uint32_t(r.PSN),
		max_rd_atomic: b[0],
		timeout:       b[1],
		retry_cnt:     b[2],
		rnr_retry:     b[3],
	}
	return q.modify("ready-to-send", &attr, C.ABI_QP_STATE|C.ABI_QP_TIMEOUT|C.ABI_QP_RETRY_CNT|C.ABI_QP_RNR_RETRY|C.ABI_QP_SQ_PSN|
		C.ABI_QP_MAX_QP_RD_ATOMIC)
}

// ToError goes to the error state: everything outstanding completes, failed or
// flushed, whether signaled or not. May be called while others post and poll.
func (q *QP) ToError() error {
	attr := C.struct_abi_qp_attr{qp_state: C.ABI_QPS_ERR}
	return q.modify("error", &attr, C.ABI_QP_STATE)
}

func (q *QP) modify(state string, attr *C.struct_abi_qp_attr, mask C.int) error {
	if errno := C.shim_modify_qp(q.pd.context.library.calls, q.qp, attr, mask); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_modify_qp of %d on %s to %s", q.QPN, q.pd.context.name, state)
	}
	return nil
}

// Query asks the device about the queue pair.
func (q *QP) Query() (QPState, error) {
	var a C.struct_abi_qp_attr
	mask := C.int(C.ABI_QP_STATE | C.ABI_QP_ACCESS_FLAGS | C.ABI_QP_PORT | C.ABI_QP_AV | C.ABI_QP_PATH_MTU | C.ABI_QP_TIMEOUT |
		C.ABI_QP_RETRY_CNT | C.ABI_QP_RNR_RETRY | C.ABI_QP_RQ_PSN | C.ABI_QP_MAX_QP_RD_ATOMIC | C.ABI_QP_MIN_RNR_TIMER |
		C.ABI_QP_SQ_PSN | C.ABI_QP_MAX_DEST_RD_ATOMIC | C.ABI_QP_DEST_QPN)
	if errno := C.shim_query_qp(q.pd.context.library.calls, q.qp, &a, mask); errno != 0 {
		return QPState{}, failed(syscall.Errno(errno), "ibv_query_qp of %d on %s", q.QPN, q.pd.context.name)
	}
	return QPState{
		State:           int(a.qp_state),
		RQPSN:           uint32(a.rq_psn),
		SQPSN:           uint32(a.sq_psn),
		DestQPN:         uint32(a.dest_qp_num),
		MTU:             mtuBytes(a.path_mtu),
		Access:          int(a.qp_access_flags),
		MaxRdAtomic:     int(a.max_rd_atomic),
		MaxDestRdAtomic: int(a.max_dest_rd_atomic),
		MinRNRTimer:     int(a.min_rnr_timer),
		Timeout:         int(a.timeout),
		RetryCount:      int(a.retry_cnt),
		RNRRetry:        int(a.rnr_retry),
		Port:            int(a.port_num),
		SGIDIndex:       int(a.ah_attr.grh.sgid_index),
		DGID:            a.ah_attr.grh.dgid,
	}, nil
}

// mtuBytes is an enum ibv_mtu in bytes; 0 if it is none.
func mtuBytes(code C.uint32_t) int {
	if code < C.ABI_MTU_256 || code > C.ABI_MTU_4096 {
		return 0
	}
	return 128 << code
}

// mtuCode is the enum ibv_mtu of a path MTU in bytes.
func mtuCode(bytes int) (C.uint32_t, error) {
	for code := C.uint32_t(C.ABI_MTU_256); code <= C.ABI_MTU_4096; code++ {
		if mtuBytes(code) == bytes {
			return code, nil
		}
	}
	return 0, fmt.Errorf("path MTU of %d bytes: %w: it is 256, 512, 1024, 2048 or 4096", bytes, syscall.EINVAL)
}

// byteOf is a value for a field of one byte.
func byteOf(name string, value int) (C.uint8_t, error) {
	if value < 0 || value > math.MaxUint8 {
		return 0, fmt.Errorf("%s %d: %w: it has to fit a byte", name, value, syscall.EINVAL)
	}
	return C.uint8_t(value), nil
}
