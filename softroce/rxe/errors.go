package rxe

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Kinds of errors, for errors.Is. The errors returned say what to do, and wrap the
// kernel's errno where there is one.
var (
	ErrUnsupported  = errors.New("the kernel has no RDMA")
	ErrNoDriver     = errors.New("the kernel has no rxe driver")
	ErrNoCRC        = errors.New("the kernel lacks the CRC-32 that rxe needs")
	ErrNotPermitted = errors.New("not permitted")
	ErrName         = errors.New("not a name for an RDMA device")
	ErrNoInterface  = errors.New("no such network interface")
	ErrUnsuitable   = errors.New("rxe does not work on this kind of network interface")
	ErrExist        = errors.New("there is one already")
	ErrNotExist     = errors.New("no such RDMA device")
	ErrNotRxe       = errors.New("not an rxe device")
	ErrInUse        = errors.New("the device is in use")
)

// failure is an error of one of the kinds above.
type failure struct {
	text        string
	kind, errno error // errno may be nil
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() []error {
	if f.errno == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.errno}
}

// fail makes a failure. The kernel's errno is left out of the text, as it is often
// misleading; format says what it means here, and what to do.
func fail(what string, kind, errno error, format string, args ...any) error {
	return &failure{fmt.Sprintf("rxe: %s: %v: %s", what, kind, fmt.Sprintf(format, args...)), kind, errno}
}

// explain explains errors of the kernel that mean the same for all commands.
func (h host) explain(what string, err error) error {
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT):
		return fail(what, ErrUnsupported, err, "Linux %s knows no RDMA netlink: %s", h.release(), h.howToGet("ib_core"))
	case errors.Is(err, unix.ECONNREFUSED):
		return fail(what, ErrUnsupported, err, "nothing answers RDMA netlink in this network namespace: Linux %s has it in the initial one only", h.release())
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		if h.privileged() {
			return fail(what, ErrNotPermitted, err, "it takes CAP_NET_ADMIN in the initial user namespace, which root in a container does not have: run it outside of the container")
		}
		return fail(what, ErrNotPermitted, err, "it takes CAP_NET_ADMIN: run it with sudo")
	}
	return fmt.Errorf("rxe: %s: %w; the kernel's log may say why (sudo dmesg | grep -i rxe)", what, err)
}

// explainAdd is explain for the refusal to make a link. Only the errno is known; the
// reason follows from what is there.
func (h host) explainAdd(what, name, netdev string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM) && h.privileged():
		if below, ok := h.vlanOf(netdev); ok {
			return fail(what, ErrUnsuitable, err, "%s is a VLAN: add the link to the interface below (%s), which gets a GID for each address of the VLAN, too", netdev, below)
		}
	case errors.Is(err, unix.ENODEV) && !h.exists(netdev):
		return fail(what, ErrNoInterface, err, "%s%s", h.existing(), h.swapped(name, netdev))
	case errors.Is(err, unix.EEXIST), errors.Is(err, unix.ENFILE):
		if reason := h.taken(name, netdev); reason != "" {
			return fail(what, ErrExist, err, "%s", reason)
		}
	case errors.Is(err, unix.ENOENT):
		if loaded, _ := h.module("crc32_generic"); !loaded {
			return fail(what, ErrNoCRC, err, "%s", h.howToGet("crc32_generic"))
		}
	case errors.Is(err, unix.EINVAL):
		if loaded, _ := h.module("rdma_rxe"); !loaded {
			return fail(what, ErrNoDriver, err, "%s", h.howToGet("rdma_rxe"))
		}
		return fail(what, ErrUnsuitable, err, "it takes an Ethernet interface: a network card, a virtio interface, one end of a veth pair; %s", h.existing())
	}
	return h.explain(what, err)
}

// howToGet explains where a module comes from.
func (h host) howToGet(module string) string {
	release := h.release()
	switch loaded, installed := h.module(module); {
	case loaded:
		return "module " + module + " is loaded"
	case installed:
		return fmt.Sprintf("module %s is installed, but not loaded: run 'sudo modprobe %s', which says why", module, module)
	}
	return fmt.Sprintf("there is no module %s in /lib/modules/%s: install one (Debian: package linux-image-%s, not the cloud flavour, and boot it; "+
		"Ubuntu: package linux-modules-extra-%s), or use a virtual machine with such a kernel", module, release, runtime.GOARCH, release)
}

func (h host) exists(netdev string) bool {
	names, err := h.interfaces()
	return err != nil || slices.Contains(names, netdev)
}

// existing lists the network interfaces for an error text.
func (h host) existing() string {
	names, err := h.interfaces()
	if err != nil {
		return "nor can they be listed: " + err.Error()
	}
	return "interfaces are: " + strings.Join(names, ", ")
}

// swapped is a hint if the arguments seem to be swapped.
func (h host) swapped(name, netdev string) string {
	if h.exists(name) {
		return fmt.Sprintf("; the name of the new device comes first, then the interface: %s %s", netdev, name)
	}
	return ""
}

// taken explains what prevents a new link, if that can be seen.
func (h host) taken(name, netdev string) string {
	links, err := h.links()
	if err != nil {
		return ""
	}
	for _, l := range links {
		if l.IsRxe() && l.Interface == netdev {
			return fmt.Sprintf("%s has the rxe link %s, and can have one only: use it, or delete it", netdev, l.Name)
		}
	}
	for _, l := range links {
		if l.Name == name {
			return fmt.Sprintf("an RDMA device is called %s (driver %s, interface %s): choose another name", name, cmp.Or(l.Driver, "unknown"), cmp.Or(l.Interface, "unknown"))
		}
	}
	return ""
}
