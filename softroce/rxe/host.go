package rxe

import (
	"net"

	"golang.org/x/sys/unix"
)

// host is the system that this package reads and changes. Tests replace it.
type host struct {
	nldev      nldev
	interfaces func() ([]string, error) // names of the network interfaces
	privileged func() bool              // holds CAP_NET_ADMIN, in whichever user namespace
	root       string                   // the folder that sys, proc and lib are in
}

var local = host{netlink{}, interfaceNames, hasNetAdmin, "/"}

func interfaceNames() ([]string, error) {
	all, err := net.Interfaces()
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names, err
}

func hasNetAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&header, &data[0])
	return err == nil && data[0].Effective&(1<<unix.CAP_NET_ADMIN) != 0
}
