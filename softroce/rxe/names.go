package rxe

import "fmt"

// driverName is the name of this driver, as RDMA netlink has it.
const driverName = "rxe"

// Numbers of the kernel's programming interface; the names are those that rdma(8)
// and ibstat(8) show.
var (
	portStates     = []string{"NOP", "DOWN", "INIT", "ARMED", "ACTIVE", "ACTIVE_DEFER"}
	physicalStates = []string{"NOP", "SLEEP", "POLLING", "DISABLED", "ARMED", "LINK_UP", "LINK_ERROR_RECOVER", "PHY_TEST"}
	drivers        = []string{
		"unknown", "mlx5", "mlx4", "cxgb3", "cxgb4", "mthca", "bnxt_re", "ocrdma", "nes", "irdma", "vmw_pvrdma",
		"qedr", "hns", "usnic", driverName, "hfi1", "qib", "efa", "siw", "erdma", "mana",
	}
)

func nameOf[N uint8 | uint32](names []string, n N) string {
	if int(n) < len(names) {
		return names[n]
	}
	return fmt.Sprint(n)
}
