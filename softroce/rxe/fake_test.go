package rxe

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeKernel answers as a kernel with these devices does. An error set is the
// answer to that question.
type fakeKernel struct {
	has []fakeDevice

	devicesErr, portsErr, driverErr, usersErr, newErr, deleteErr error
}

type fakeDevice struct {
	device
	ports  []port
	driver uint32
	users  []uint32
}

func (k *fakeKernel) find(index uint32) (fakeDevice, error) {
	i := slices.IndexFunc(k.has, func(d fakeDevice) bool { return d.index == index })
	if i < 0 {
		return fakeDevice{}, unix.EINVAL
	}
	return k.has[i], nil
}

func (k *fakeKernel) devices() ([]device, error) {
	var devices []device
	for _, d := range k.has {
		devices = append(devices, d.device)
	}
	return devices, k.devicesErr
}

func (k *fakeKernel) ports(index uint32) ([]port, error) {
	d, err := k.find(index)
	if k.portsErr != nil {
		return nil, k.portsErr
	}
	return d.ports, err
}

func (k *fakeKernel) driver(index uint32) (uint32, error) {
	d, err := k.find(index)
	if k.driverErr != nil {
		return 0, k.driverErr
	}
	return d.driver, err
}

func (k *fakeKernel) users(index uint32) ([]uint32, error) {
	d, err := k.find(index)
	if k.usersErr != nil {
		return nil, k.usersErr
	}
	return d.users, err
}

func (k *fakeKernel) newLink(name, driver, netdev string) error {
	if k.newErr != nil {
		return k.newErr
	}
	if driver != "rxe" {
		return unix.EINVAL
	}
	k.has = append(k.has, fakeDevice{device: device{100, name, 0}, ports: []port{{1, 4, 5, netdev}}, driver: rxeID})
	return nil
}

func (k *fakeKernel) deleteLink(index uint32) error {
	if k.deleteErr != nil {
		return k.deleteErr
	}
	_, err := k.find(index)
	k.has = slices.DeleteFunc(k.has, func(d fakeDevice) bool { return d.index == index })
	return err
}

// Numbers of the kernel's enum rdma_driver_id.
const (
	mlx5ID = 1
	rxeID  = 14
	siwID  = 18
)

// typicalKernel has rxe0 on eth0, a card with two ports, and a siw device.
func typicalKernel() *fakeKernel {
	return &fakeKernel{has: []fakeDevice{
		{device{0, "rxe0", 0x505400fffe123456}, []port{{1, 4, 5, "eth0"}}, rxeID, nil},
		{device{3, "mlx5_0", 0x1}, []port{{1, 4, 5, "eth1"}, {2, 1, 3, ""}}, mlx5ID, nil},
		{device{7, "iwarp", 0x2}, []port{{1, 1, 3, "eth2"}}, siwID, nil},
	}}
}

const fakeRelease = "6.1.0-99-amd64"

// newHost is a host with this kernel, interfaces lo, eth0, eth1 and eth2, the
// privilege, and these files, whose names do not begin with a slash.
func newHost(t *testing.T, k *fakeKernel, files map[string]string) host {
	root := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
	}
	write("proc/sys/kernel/osrelease", fakeRelease+"\n")
	for name, content := range files {
		write(name, content)
	}
	return host{
		nldev:      k,
		interfaces: func() ([]string, error) { return []string{"lo", "eth0", "eth1", "eth2"}, nil },
		privileged: func() bool { return true },
		root:       root,
	}
}

// kinds are all errors of the package.
var kinds = []error{
	ErrUnsupported, ErrNoDriver, ErrNoCRC, ErrNotPermitted, ErrName, ErrNoInterface, ErrUnsuitable, ErrExist, ErrNotExist, ErrNotRxe, ErrInUse,
}

// requireKind checks that an error is of that kind and no other, nil for none.
func requireKind(t *testing.T, kind, err error) {
	t.Helper()
	require.Error(t, err)
	for _, k := range kinds {
		if k == kind {
			require.ErrorIs(t, err, k)
		} else {
			require.NotErrorIs(t, err, k)
		}
	}
}
