package rxe

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Valid names of devices and interfaces. The kernel allows more for a device,
// but such a name would not work in a path or on a command line.
var (
	deviceNames        = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$`)
	interfaceNameLimit = unix.IFNAMSIZ - 1
)

// Add makes an rxe device of this name on a network interface. It takes
// CAP_NET_ADMIN in the initial user namespace. The kernel loads the module rdma_rxe
// for it, if it is installed. The device is there when Add returns; it is active
// while the interface is up. The path MTU is the largest of 256 to 4096 that fits
// into the interface's MTU with its headers: 1024 for 1500, 4096 from 4200 on.
//
// The error is one of this package's (see [ErrUnsupported] and those after it), or,
// if nothing more is known, the kernel's.
func Add(name, netdev string) error { return local.add(name, netdev) }

func (h host) add(name, netdev string) error {
	what := fmt.Sprintf("add %s to %s", name, netdev)
	if !deviceNames.MatchString(name) {
		return fail(what, ErrName, nil, "%q: must be 1 to 63 letters, digits, '_', '-' and '.', the first neither '-' nor '.'", name)
	}
	if netdev == "" || len(netdev) > interfaceNameLimit {
		return fail(what, ErrNoInterface, nil, "%q: names of interfaces have 1 to %d bytes; %s", netdev, interfaceNameLimit, h.existing())
	}
	if err := h.nldev.newLink(name, driverName, netdev); err != nil {
		return h.explainAdd(what, name, netdev, err)
	}
	return nil
}

// Delete removes an rxe device. It refuses a device of another driver ([ErrNotRxe]),
// and one that programs have open ([ErrInUse]): the kernel would wait for their end,
// and nothing could interrupt it. It takes CAP_NET_ADMIN, as Add does.
func Delete(name string) error { return local.delete(name) }

func (h host) delete(name string) error {
	what := "delete " + name
	devices, err := h.nldev.devices()
	if err != nil {
		return h.explain(what, err)
	}
	i := slices.IndexFunc(devices, func(d device) bool { return d.name == name })
	if i < 0 {
		return fail(what, ErrNotExist, nil, "%s", h.rxeLinks())
	}
	driver, err := h.driver(devices[i])
	switch {
	case err != nil:
		return h.explain(what, err)
	case driver == "":
		return fail(what, ErrNotRxe, nil, "the kernel does not tell its driver; it stays")
	case driver != driverName:
		return fail(what, ErrNotRxe, nil, "its driver is %s; it stays", driver)
	}
	users, err := h.nldev.users(devices[i].index)
	if err != nil && !errors.Is(err, unix.EINVAL) { // from kernels that lack this command
		return h.explain(what, err)
	}
	if len(users) > 0 {
		return fail(what, ErrInUse, nil, "end the programs that have it open first: %s", h.processes(users))
	}
	// By index: should the device be gone, another of its name is safe.
	if err := h.nldev.deleteLink(devices[i].index); err != nil {
		return h.explain(what, err)
	}
	return nil
}

// rxeLinks lists the rxe links for an error text.
func (h host) rxeLinks() string {
	links, err := h.links()
	if err != nil {
		return "nor can they be listed: " + err.Error()
	}
	var names []string
	for _, l := range links {
		if l.IsRxe() {
			names = append(names, l.Name)
		}
	}
	if len(names) == 0 {
		return "there are no rxe links"
	}
	return "rxe links are: " + strings.Join(names, ", ")
}
