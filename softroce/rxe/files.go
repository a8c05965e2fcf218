package rxe

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// gids reads a port's table of addresses, most of which is empty.
func (h host) gids(device string, port int) []GID {
	folder := filepath.Join(h.root, "sys/class/infiniband", device, "ports", strconv.Itoa(port))
	entries, _ := os.ReadDir(filepath.Join(folder, "gids")) // no /sys, no GIDs
	var gids []GID
	for _, entry := range entries {
		index, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		address, err := netip.ParseAddr(read(folder, "gids", entry.Name()))
		if err != nil || address.IsUnspecified() {
			continue
		}
		gids = append(gids, GID{index, address, read(folder, "gid_attrs/types", entry.Name())})
	}
	slices.SortFunc(gids, func(a, b GID) int { return a.Index - b.Index })
	return gids
}

// vlanOf reports whether an interface is a VLAN, and names the interfaces below it.
func (h host) vlanOf(netdev string) (below string, ok bool) {
	folder := filepath.Join(h.root, "sys/class/net", netdev)
	if !slices.Contains(strings.Fields(read(folder, "uevent")), "DEVTYPE=vlan") {
		return "", false
	}
	links, _ := filepath.Glob(filepath.Join(folder, "lower_*"))
	for i, link := range links {
		links[i] = strings.TrimPrefix(filepath.Base(link), "lower_")
	}
	return strings.Join(links, ", "), true
}

// processes names processes.
func (h host) processes(users []uint32) string {
	slices.Sort(users)
	var names []string
	for _, pid := range slices.Compact(users) {
		command := read(h.root, "proc", fmt.Sprint(pid), "comm")
		switch {
		case pid == 0:
			names = append(names, "a process outside of this container")
		case command == "":
			names = append(names, fmt.Sprintf("process %d", pid))
		default:
			names = append(names, fmt.Sprintf("%s (%d)", command, pid))
		}
	}
	return strings.Join(names, ", ")
}

// release is the kernel's, as in the names of its packages.
func (h host) release() string { return read(h.root, "proc/sys/kernel/osrelease") }

// module reports whether a module is in the kernel, and whether there is a file
// to load it from.
func (h host) module(name string) (loaded, installed bool) {
	if _, err := os.Stat(filepath.Join(h.root, "sys/module", name)); err == nil {
		return true, true
	}
	folder := filepath.Join(h.root, "lib/modules", h.release())
	if strings.Contains(read(folder, "modules.builtin"), "/"+name+".ko") {
		return true, true
	}
	return false, strings.Contains(read(folder, "modules.dep"), "/"+name+".ko")
}

// read is the content of a small file without the space around it, and empty if
// there is none.
func read(path ...string) string {
	content, _ := os.ReadFile(filepath.Join(path...))
	return strings.TrimSpace(string(content))
}
