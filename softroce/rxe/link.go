package rxe

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Link is one port of an RDMA device. Those of rxe have one port.
type Link struct {
	Name          string `json:"name"` // of the device
	Port          int    `json:"port"` // from 1 on
	Driver        string `json:"driver,omitempty"`
	Interface     string `json:"interface,omitempty"` // network interface, if it is in this network namespace
	State         string `json:"state,omitempty"`
	PhysicalState string `json:"physical_state,omitempty"`
	NodeGUID      string `json:"node_guid,omitempty"`
	GIDs          []GID  `json:"gids,omitempty"`
}

// GID is an address of a link.
type GID struct {
	Index   int        `json:"index"` // what programs ask for by option or environment variable
	Address netip.Addr `json:"address"`
	Type    string     `json:"type,omitempty"` // say, RoCE v2
}

// IsRxe reports whether the link is one of rxe, as opposed to hardware or another
// software driver.
func (l Link) IsRxe() bool { return l.Driver == driverName }

// List lists the ports of all RDMA devices, in the kernel's order. It needs no
// privilege. Fields that the kernel does not report stay empty. GIDs are those in /sys.
func List() ([]Link, error) { return local.list() }

func (h host) list() ([]Link, error) {
	links, err := h.links()
	if err != nil {
		return nil, h.explain("list", err)
	}
	for i, l := range links {
		links[i].GIDs = h.gids(l.Name, l.Port)
	}
	return links, nil
}

// links is list without GIDs, and with the kernel's own errors.
func (h host) links() ([]Link, error) {
	devices, err := h.nldev.devices()
	if err != nil {
		return nil, err
	}
	var links []Link
	for _, d := range devices {
		ports, err := h.nldev.ports(d.index)
		if errors.Is(err, unix.EINVAL) { // deleted meanwhile
			continue
		} else if err != nil {
			return nil, fmt.Errorf("ports of %s: %w", d.name, err)
		}
		driver, err := h.driver(d)
		if err != nil {
			return nil, err
		}
		for _, p := range ports {
			links = append(links, Link{
				Name: d.name, Port: int(p.number), Driver: driver, Interface: p.netdev, NodeGUID: guid(d.nodeGUID),
				State: nameOf(portStates, p.state), PhysicalState: nameOf(physicalStates, p.physicalState),
			})
		}
	}
	return links, nil
}

// driver names a device's driver, or is empty when the kernel does not know it: a
// device that programs cannot open.
func (h host) driver(d device) (string, error) {
	id, err := h.nldev.driver(d.index)
	switch {
	case err == nil:
		return nameOf(drivers, id), nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EOPNOTSUPP):
		return "", nil
	}
	return "", fmt.Errorf("driver of %s: %w", d.name, err)
}

// guid formats it as other tools do.
func guid(g uint64) string {
	return fmt.Sprintf("%04x:%04x:%04x:%04x", uint16(g>>48), uint16(g>>32), uint16(g>>16), uint16(g))
}
