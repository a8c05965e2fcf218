package main

import (
	"encoding/csv"
	"fmt"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
)

// An agent leases workers over the kernel's RDMA driver, to a client that is at the other
// end of a cable and has none: both speak RoCE. So does the manager, which keeps the accounts.
// Each of the two has an address of its own, as a device sends to one port only.
func TestRxeDeviceLeases(t *testing.T) {
	m := needRDMA(t)
	const count = 20
	const client = "10.9.0.3"
	change := func(what string) {
		out, err := exec.Command("ip", "-n", m.peer, "address", what, client+"/24", "dev", os.Getenv("RXE_PEER_NETDEV")).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	change("add")
	t.Cleanup(func() { change("delete") })
	c := newSecureCluster(t, seat{host: m.peerAddress, device: "softroce://" + m.peerAddress + "?trust-network", namespace: m.peer}, seat{host: m.address, device: "verbs://" + m.device, flags: []string{"--trust-network"}})
	require.Equal(t, "verbs", c.known().Addresses[0].Transport)
	paths, err := photos.Write(filepath.Join(c.dir, "photos"), count, 240, 160, 7, nil)
	require.NoError(t, err)

	status, stdout, stderr := c.run(slices.Concat([]string{"run", "-f", "thumbnailer", "-o", "thumbnails", "--transport", "softroce://" + client + "?trust-network"}, c.as("alice"), paths)...)
	require.Equal(t, exitOK, status, "%s%s", stdout, stderr)
	require.Contains(t, stdout, fmt.Sprintf("thumbnailer: %d of %[1]d inputs done, in ", count))
	require.Len(t, namesIn(t, c.dir, "thumbnails"), count)
	for _, path := range paths {
		f, err := os.Open(filepath.Join(c.dir, "thumbnails", filepath.Base(path)))
		require.NoError(t, err)
		_, err = jpeg.DecodeConfig(f)
		require.NoError(t, err, path)
		require.NoError(t, f.Close())
	}
	c.end()
	status, stdout, stderr = c.run("bill", "--state", c.dir+"/ledger", "--format", "csv") // what the manager has in the end
	require.Equal(t, exitOK, status, stderr)
	rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, fmt.Sprint(count), rows[1][slices.Index(rows[0], "invocations")], "%v", rows)
}
