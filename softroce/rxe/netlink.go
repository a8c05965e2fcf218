package rxe

import (
	"encoding/binary"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nldev is the part of RDMA netlink that manages devices. Its errors are the
// system's: those of opening the socket, and those of the kernel's answer.
type nldev interface {
	devices() ([]device, error)
	ports(device uint32) ([]port, error)
	// driver returns the number by which libibverbs picks a driver.
	driver(device uint32) (uint32, error)
	// users returns the processes that have the device open, by their numbers in
	// this process's namespace, 0 for those that are not in it.
	users(device uint32) ([]uint32, error)
	newLink(name, driver, netdev string) error
	deleteLink(device uint32) error
}

type device struct {
	index    uint32 // of this device only, also after it is gone
	name     string
	nodeGUID uint64
}

type port struct {
	number               uint32
	state, physicalState uint8
	netdev               string // empty if it is in another network namespace
}

// Commands and attributes of include/uapi/rdma/rdma_netlink.h that package nl lacks.
const (
	cmdPortGet    = 5
	cmdGetChardev = 15
	cmdContextGet = 22

	attrResourcePID    = 28
	attrChardevType    = 69
	attrUverbsDriverID = 73
	attrContexts       = 86
)

// netlink is the kernel's nldev.
type netlink struct{}

// ask sends a command, and returns the attributes of each message of the answer.
func (netlink) ask(command, flags int, request ...*nl.RtAttr) ([]attributes, error) {
	r := nl.NewNetlinkRequest(nl.RDMA_NL_NLDEV<<nl.RDMA_NL_GET_CLIENT_SHIFT|command, flags)
	for _, a := range request {
		r.AddData(a)
	}
	messages, err := r.Execute(unix.NETLINK_RDMA, 0)
	if err != nil {
		return nil, err
	}
	var answer []attributes
	for _, m := range messages {
		a, err := parse(m)
		if err != nil {
			return nil, err
		}
		answer = append(answer, a)
	}
	return answer, nil
}

func (n netlink) devices() ([]device, error) {
	answer, err := n.ask(nl.RDMA_NLDEV_CMD_GET, unix.NLM_F_DUMP)
	var devices []device
	for _, a := range answer {
		devices = append(devices, a.device())
	}
	return devices, err
}

func (n netlink) ports(device uint32) ([]port, error) {
	answer, err := n.ask(cmdPortGet, unix.NLM_F_DUMP, nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, nl.Uint32Attr(device)))
	var ports []port
	for _, a := range answer {
		ports = append(ports, a.port())
	}
	return ports, err
}

func (n netlink) driver(device uint32) (uint32, error) {
	answer, err := n.ask(cmdGetChardev, unix.NLM_F_ACK,
		nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, nl.Uint32Attr(device)),
		nl.NewRtAttr(attrChardevType, nl.ZeroTerminated("uverbs")))
	if err != nil {
		return 0, err
	}
	for _, a := range answer {
		if _, ok := a[attrUverbsDriverID]; ok {
			return a.uint32(attrUverbsDriverID), nil
		}
	}
	return 0, unix.EOPNOTSUPP
}

func (n netlink) users(device uint32) ([]uint32, error) {
	answer, err := n.ask(cmdContextGet, unix.NLM_F_DUMP, nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, nl.Uint32Attr(device)))
	if err != nil {
		return nil, err
	}
	return users(answer)
}

func (n netlink) newLink(name, driver, netdev string) error {
	_, err := n.ask(nl.RDMA_NLDEV_CMD_NEWLINK, unix.NLM_F_ACK,
		nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_NAME, nl.ZeroTerminated(name)),
		nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_LINK_TYPE, nl.ZeroTerminated(driver)),
		nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_NDEV_NAME, nl.ZeroTerminated(netdev)))
	return err
}

func (n netlink) deleteLink(device uint32) error {
	_, err := n.ask(nl.RDMA_NLDEV_CMD_DELLINK, unix.NLM_F_ACK, nl.NewRtAttr(nl.RDMA_NLDEV_ATTR_DEV_INDEX, nl.Uint32Attr(device)))
	return err
}

// attributes are those of a message, by type. Missing or short ones read as zero.
type attributes map[uint16][]byte

func parse(message []byte) (attributes, error) {
	all, err := nl.ParseRouteAttr(message)
	if err != nil {
		return nil, fmt.Errorf("answer of RDMA netlink: %w", err)
	}
	a := attributes{}
	for _, attribute := range all {
		a[attribute.Attr.Type] = attribute.Value
	}
	return a, nil
}

func (a attributes) device() device {
	return device{a.uint32(nl.RDMA_NLDEV_ATTR_DEV_INDEX), a.string(nl.RDMA_NLDEV_ATTR_DEV_NAME), a.uint64(nl.RDMA_NLDEV_ATTR_NODE_GUID)}
}

func (a attributes) port() port {
	return port{
		a.uint32(nl.RDMA_NLDEV_ATTR_PORT_INDEX), a.uint8(nl.RDMA_NLDEV_ATTR_PORT_STATE),
		a.uint8(nl.RDMA_NLDEV_ATTR_PORT_PHYS_STATE), a.string(nl.RDMA_NLDEV_ATTR_NDEV_NAME),
	}
}

// users are the processes in the tables of contexts of these messages.
func users(answer []attributes) ([]uint32, error) {
	var users []uint32
	for _, a := range answer {
		entries, err := nl.ParseRouteAttr(a[attrContexts])
		if err != nil {
			return nil, fmt.Errorf("answer of RDMA netlink: contexts: %w", err)
		}
		for _, entry := range entries {
			context, err := parse(entry.Value)
			if err != nil {
				return nil, err
			}
			users = append(users, context.uint32(attrResourcePID))
		}
	}
	return users, nil
}

func (a attributes) uint8(kind uint16) uint8 { return a.padded(kind)[0] }

func (a attributes) uint32(kind uint16) uint32 { return binary.NativeEndian.Uint32(a.padded(kind)) }

func (a attributes) uint64(kind uint16) uint64 { return binary.NativeEndian.Uint64(a.padded(kind)) }

func (a attributes) padded(kind uint16) []byte {
	var value [8]byte
	copy(value[:], a[kind])
	return value[:]
}

func (a attributes) string(kind uint16) string { return unix.ByteSliceToString(a[kind]) }
