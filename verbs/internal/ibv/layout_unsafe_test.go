//go:build cgo && linux

package ibv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// checkSyntax compiles C source in the folder of the sources, against verbs.h.
func checkSyntax(t *testing.T, source string) {
	t.Helper()
	cc := exec.Command(compiler(t), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", source)
	cc.Dir = folder
	out, err := cc.CombinedOutput()
	if strings.Contains(string(out), "infiniband/verbs.h: No such file") || strings.Contains(string(out), "'infiniband/verbs.h' file not found") {
		lacking(t, "the header infiniband/verbs.h (Debian package libibverbs-dev)")
	}
	require.NoError(t, err, string(out))
}

// The structures, constants and functions that the shim uses are those of
// verbs.h.
func TestLayout(t *testing.T) {
	t.Parallel()
	checkSyntax(t, "testdata/layout.c")
	checkSyntax(t, "testdata/signatures.c")
}

// None of them is left out of that comparison.
func TestLayoutIsWhole(t *testing.T) {
	t.Parallel()
	compared, err := sources.ReadFile("testdata/layout.c")
	require.NoError(t, err)
	structure := regexp.MustCompile(`(?ms)^struct abi_(\w+) \{([^\n]*)\n(.*?)^\};`)
	field := regexp.MustCompile(`(?m)^\t(?:[\w *]+?[ *](\w+)(?:\[\d+\])?;|int \(\*(\w+)\)\(.*\);|\} (\w+);)`)
	constant := regexp.MustCompile(`\bABI_(\w+) =`)
	var structures, fields, constants int
	for _, header := range []string{"abi_attributes.h", "abi_objects.h"} {
		text, err := sources.ReadFile(header)
		require.NoError(t, err)
		for _, s := range structure.FindAllStringSubmatch(string(text), -1) {
			structures++
			if !strings.Contains(s[2], "leading fields") {
				require.Contains(t, string(compared), fmt.Sprintf("\nSIZE(%s);", s[1]))
			}
			for _, f := range field.FindAllStringSubmatch(s[3], -1) {
				if name := f[1] + f[2] + f[3]; !strings.HasPrefix(name, "_gap") {
					fields++
					require.Contains(t, string(compared), fmt.Sprintf("\nFIELD(%s, %s);", s[1], name))
				}
			}
		}
		for _, c := range constant.FindAllStringSubmatch(string(text), -1) {
			constants++
			require.Contains(t, string(compared), fmt.Sprintf("\nCONSTANT(%s);", c[1]))
		}
	}
	require.Equal(t, strings.Count(string(compared), "\nSIZE(")+strings.Count(string(compared), ": leading fields only"), structures)
	require.Greater(t, fields, 150)
	require.Greater(t, constants, 50)
}

// The constants and the completion that Go has are those of verbs.h, too.
func TestGoConstants(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	source.WriteString("#include <stddef.h>\n#include <infiniband/verbs.h>\n")
	for name, value := range map[string]int{
		"IBV_ACCESS_LOCAL_WRITE": AccessLocalWrite, "IBV_ACCESS_REMOTE_WRITE": AccessRemoteWrite,
		"IBV_ACCESS_REMOTE_READ": AccessRemoteRead, "IBV_ACCESS_REMOTE_ATOMIC": AccessRemoteAtomic,

		"IBV_PORT_NOP": int(PortNop), "IBV_PORT_DOWN": int(PortDown), "IBV_PORT_INIT": int(PortInit),
		"IBV_PORT_ARMED": int(PortArmed), "IBV_PORT_ACTIVE": int(PortActive), "IBV_PORT_ACTIVE_DEFER": int(PortActiveDefer),
		"IBV_LINK_LAYER_INFINIBAND": LinkLayerInfiniBand, "IBV_LINK_LAYER_ETHERNET": LinkLayerEthernet,

		"IBV_NODE_CA": node("CA"), "IBV_NODE_SWITCH": node("switch"), "IBV_NODE_ROUTER": node("router"), "IBV_NODE_RNIC": node("RNIC"),
		"IBV_NODE_USNIC": node("usNIC"), "IBV_NODE_USNIC_UDP": node("usNIC UDP"), "IBV_NODE_UNSPECIFIED": node("unspecified"),
		"IBV_ATOMIC_NONE": 0, "IBV_ATOMIC_HCA": 1, "IBV_ATOMIC_GLOB": 2,

		"IBV_EVENT_CQ_ERR": int(EventCQError), "IBV_EVENT_QP_FATAL": int(EventQPFatal), "IBV_EVENT_QP_REQ_ERR": int(EventQPRequestError),
		"IBV_EVENT_QP_ACCESS_ERR": int(EventQPAccessError), "IBV_EVENT_COMM_EST": int(EventCommunicationEstablished),
		"IBV_EVENT_SQ_DRAINED": int(EventSendQueueDrained), "IBV_EVENT_PATH_MIG": int(EventPathMigrated),
		"IBV_EVENT_PATH_MIG_ERR": int(EventPathMigrationError), "IBV_EVENT_DEVICE_FATAL": int(EventDeviceFatal),
		"IBV_EVENT_PORT_ACTIVE": int(EventPortActive), "IBV_EVENT_PORT_ERR": int(EventPortError), "IBV_EVENT_LID_CHANGE": int(EventLIDChange),
		"IBV_EVENT_PKEY_CHANGE": int(EventPKeyChange), "IBV_EVENT_SM_CHANGE": int(EventSMChange), "IBV_EVENT_SRQ_ERR": int(EventSRQError),
		"IBV_EVENT_SRQ_LIMIT_REACHED": int(EventSRQLimitReached), "IBV_EVENT_QP_LAST_WQE_REACHED": int(EventQPLastWQEReached),
		"IBV_EVENT_CLIENT_REREGISTER": int(EventClientReregister), "IBV_EVENT_GID_CHANGE": int(EventGIDChange), "IBV_EVENT_WQ_FATAL": int(EventWQFatal),

		"IBV_QPS_RESET": StateReset, "IBV_QPS_INIT": StateInit, "IBV_QPS_RTR": StateRTR, "IBV_QPS_RTS": StateRTS,
		"IBV_QPS_SQD": StateSQD, "IBV_QPS_SQE": StateSQE, "IBV_QPS_ERR": StateError,

		"IBV_WC_WITH_IMM": WithImm,
		"IBV_WC_SEND":     WCSend, "IBV_WC_RDMA_WRITE": WCRDMAWrite, "IBV_WC_RDMA_READ": WCRDMARead, "IBV_WC_COMP_SWAP": WCCompSwap,
		"IBV_WC_FETCH_ADD": WCFetchAdd, "IBV_WC_RECV": WCRecv, "IBV_WC_RECV_RDMA_WITH_IMM": WCRecvRDMAWithImm,
		"IBV_WC_SUCCESS": WCSuccess, "IBV_WC_LOC_LEN_ERR": WCLocLenErr, "IBV_WC_LOC_QP_OP_ERR": WCLocQPOpErr,
		"IBV_WC_LOC_EEC_OP_ERR": WCLocEECOpErr, "IBV_WC_LOC_PROT_ERR": WCLocProtErr, "IBV_WC_WR_FLUSH_ERR": WCWRFlushErr,
		"IBV_WC_MW_BIND_ERR": WCMWBindErr, "IBV_WC_BAD_RESP_ERR": WCBadRespErr, "IBV_WC_LOC_ACCESS_ERR": WCLocAccessErr,
		"IBV_WC_REM_INV_REQ_ERR": WCRemInvReqErr, "IBV_WC_REM_ACCESS_ERR": WCRemAccessErr, "IBV_WC_REM_OP_ERR": WCRemOpErr,
		"IBV_WC_RETRY_EXC_ERR": WCRetryExcErr, "IBV_WC_RNR_RETRY_EXC_ERR": WCRNRRetryExcErr, "IBV_WC_LOC_RDD_VIOL_ERR": WCLocRDDViolErr,
		"IBV_WC_REM_INV_RD_REQ_ERR": WCRemInvRdReqErr, "IBV_WC_REM_ABORT_ERR": WCRemAbortErr, "IBV_WC_INV_EECN_ERR": WCInvEECNErr,
		"IBV_WC_INV_EEC_STATE_ERR": WCInvEECStateErr, "IBV_WC_FATAL_ERR": WCFatalErr, "IBV_WC_RESP_TIMEOUT_ERR": WCRespTimeoutErr,
		"IBV_WC_GENERAL_ERR": WCGeneralErr, "IBV_WC_TM_ERR": WCTMErr, "IBV_WC_TM_RNDV_INCOMPLETE": WCTMRndvIncomplete,

		"sizeof(struct ibv_wc)": int(unsafe.Sizeof(WC{})),
	} {
		fmt.Fprintf(&source, "_Static_assert((int)%s == %d, \"%s\");\n", name, value, name)
	}
	var wc WC
	for name, offset := range map[string]uintptr{
		"wr_id": unsafe.Offsetof(wc.WRID), "status": unsafe.Offsetof(wc.Status), "opcode": unsafe.Offsetof(wc.Opcode),
		"vendor_err": unsafe.Offsetof(wc.VendorErr), "byte_len": unsafe.Offsetof(wc.ByteLen), "imm_data": unsafe.Offsetof(wc.Imm),
		"qp_num": unsafe.Offsetof(wc.QPN), "src_qp": unsafe.Offsetof(wc.SrcQP), "wc_flags": unsafe.Offsetof(wc.WCFlags),
		"pkey_index": unsafe.Offsetof(wc.PKeyIndex), "slid": unsafe.Offsetof(wc.SLID), "sl": unsafe.Offsetof(wc.SL),
		"dlid_path_bits": unsafe.Offsetof(wc.DLIDPathBits),
	} {
		fmt.Fprintf(&source, "_Static_assert(offsetof(struct ibv_wc, %s) == %d, \"%s\");\n", name, offset, name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "constants.c"), []byte(source.String()), 0o644))
	checkSyntax(t, "constants.c")
}

// node is the number of a kind of device.
func node(name string) int {
	for number, n := range nodes {
		if n == name {
			return number
		}
	}
	return -2
}
