//go:build !linux || !(amd64 || arm64)

package confine

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
)

func isRoot() bool { return false }

var errSystem = fmt.Errorf("%w on %s/%s: it needs Linux on amd64 or arm64", ErrNotSupported, runtime.GOOS, runtime.GOARCH)

// Host prepares processes; there is none on this system.
type Host struct{}

// Process is a process of a Host.
type Process struct{}

// NewHost fails on this system.
func NewHost(HostConfig) (*Host, error) { return nil, errSystem }

// Close does nothing.
func (*Host) Close() error { return nil }

// Lingering is 0.
func (*Host) Lingering() (int64, error) { return 0, nil }

// Prepare fails on this system.
func (*Host) Prepare(*exec.Cmd, Policy) (*Process, error) { return nil, errSystem }

// Start fails on this system.
func (*Process) Start() error { return errSystem }

// Report is empty.
func (*Process) Report() Report { return Report{} }

// Entered does nothing.
func (*Process) Entered(Report) {}

// Usage is zero.
func (*Process) Usage() Usage { return Usage{} }

// SetMemory fails on this system.
func (*Process) SetMemory(int64) error { return errSystem }

// SetCores does nothing.
func (*Process) SetCores([]int) error { return nil }

// Bounded is true.
func (*Process) Bounded() bool { return true }

// Excess is nothing.
func (*Process) Excess(int64) (Measure, string) { return "", "" }

// AllowPeer does nothing.
func (*Process) AllowPeer(netip.AddrPort) error { return nil }

// ForgetPeer does nothing.
func (*Process) ForgetPeer(netip.AddrPort) error { return nil }

// Kill does nothing.
func (*Process) Kill() error { return nil }

// Close does nothing.
func (*Process) Close() (Usage, error) { return Usage{}, nil }

// UID is that of this process.
func (*Process) UID() int { return os.Geteuid() }

// Inherited finds nothing on this system.
func Inherited() (Policy, error) { return Policy{}, fmt.Errorf("confine: %w", ErrNoHost) }

// Where is the same name on this system.
func Where(host string) string { return host }

// Enter fails on this system.
func Enter(Policy) (Report, error) { return Report{}, errSystem }
