package verbs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// devicePort is the port of a device that is used, with its address.
type devicePort struct {
	device     string
	number     int
	because    string
	wire       string
	mtu        int // bytes
	maxMessage uint32
	lid        uint16
	gid        ibv.GID
	gidBecause string
}

// find opens the device of the options: the named one, the one with the address, or
// the first with an active port.
func find(o *options) (*ibv.Context, devicePort, error) {
	devices, err := ibv.Devices()
	if err != nil {
		return nil, devicePort{}, err
	}
	if len(devices) == 0 {
		return nil, devicePort{}, fmt.Errorf("%w: this machine has no RDMA device (or its driver is not loaded); with root, `rfaas rxe add` makes one of a network interface, and softroce needs none", transport.ErrNotSupported)
	}
	if o.device != "" {
		return openDevice(o.device, o, "the URL asks for it")
	}
	because := "the first with an active port"
	if o.address.IsValid() {
		because = fmt.Sprintf("it has %v", o.address)
	}
	var whyNot []error
	for _, d := range devices {
		c, p, err := openDevice(d.Name, o, because)
		if err == nil {
			return c, p, nil
		}
		whyNot = append(whyNot, fmt.Errorf("%s: %w", d.Name, err))
	}
	if o.address.IsValid() {
		return nil, devicePort{}, fmt.Errorf("%w: no RDMA device has the address %v: %w", transport.ErrNotSupported, o.address, errors.Join(whyNot...))
	}
	return nil, devicePort{}, fmt.Errorf("%w: no RDMA device can be used: %w", transport.ErrNotSupported, errors.Join(whyNot...))
}

func openDevice(name string, o *options, because string) (*ibv.Context, devicePort, error) {
	c, err := ibv.Open(name)
	if err != nil {
		return nil, devicePort{}, err
	}
	p, err := choosePort(c, name, o)
	if err != nil {
		return nil, devicePort{}, errors.Join(err, c.Close())
	}
	p.because = because
	return c, p, nil
}

// choosePort finds the port to use, and its GID.
func choosePort(c *ibv.Context, device string, o *options) (devicePort, error) {
	attr, err := c.QueryDevice()
	if err != nil {
		return devicePort{}, err
	}
	if o.port > attr.PhysPorts {
		return devicePort{}, fmt.Errorf("%w: device %s has %d ports, and no port %d", transport.ErrNotSupported, device, attr.PhysPorts, o.port)
	}
	var whyNot []string
	for port := 1; port <= attr.PhysPorts; port++ {
		if o.port != 0 && port != o.port {
			continue
		}
		p, err := tryPort(c, device, port, o)
		if err == nil || o.port != 0 || attr.PhysPorts == 1 {
			return p, err
		}
		whyNot = append(whyNot, fmt.Sprintf("port %d: %v", port, err))
	}
	return devicePort{}, fmt.Errorf("%w: no port of device %s can be used: %s", transport.ErrNotSupported, device, strings.Join(whyNot, "; "))
}

func tryPort(c *ibv.Context, device string, port int, o *options) (devicePort, error) {
	attr, err := c.QueryPort(port)
	if err != nil {
		return devicePort{}, err
	}
	if attr.State != ibv.PortActive {
		return devicePort{}, fmt.Errorf("%w: port %d of %s is %v: is the cable plugged in, or the network interface up?", transport.ErrNotSupported, port, device, attr.State)
	}
	if o.mtu > attr.ActiveMTU {
		return devicePort{}, fmt.Errorf("%w: path MTU %d does not fit port %d of %s, which has room for %d", transport.ErrNotSupported, o.mtu, port, device, attr.ActiveMTU)
	}
	p := devicePort{device: device, number: port, mtu: attr.ActiveMTU, maxMessage: attr.MaxMessage, lid: attr.LID}
	gids, err := c.GIDs(port)
	if err != nil {
		return p, err
	}
	if attr.LinkLayer == ibv.LinkLayerInfiniBand {
		p.wire = roceaddr.WireInfiniBand
		return p, p.chooseFabricGID(gids, o)
	}
	p.wire = roceaddr.Wire
	p.gid, p.gidBecause, err = chooseGID(gids, o, isPrimary)
	return p, err
}

// chooseFabricGID picks the GID of an InfiniBand port, where it is a second name
// beside the LID.
func (p *devicePort) chooseFabricGID(gids []ibv.GID, o *options) error {
	for _, g := range gids {
		if o.gid < 0 || g.Index == o.gid {
			p.gid = g
			return nil
		}
	}
	return fmt.Errorf("%w: port %d of %s has no GID %d; it has %s", transport.ErrNotSupported, p.number, p.device, max(o.gid, 0), listGIDs(gids))
}
