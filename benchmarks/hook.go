package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// hooked tells whether the program can be its own peer.
var hooked atomic.Bool

// RunPeerIfAsked makes this process the peer of a measurement, and does not
// return, if that is what it was started for; otherwise it does nothing. It has
// to be the first thing in main (in TestMain, for a test binary) of a program
// that calls Run: Run starts the program again as its peer.
func RunPeerIfAsked() {
	hooked.Store(true)
	asked := os.Getenv(peerVariable)
	if asked == "" {
		return
	}
	os.Unsetenv(peerVariable)
	if err := servePeer(asked); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// errNotHooked keeps a program that is not its own peer from starting itself
// over and over.
var errNotHooked = errors.New("benchmarks: this program cannot be its own peer: call benchmarks.RunPeerIfAsked first in main")

// servePeer serves the measurement that the parent process asks for.
func servePeer(asked string) error {
	var files int
	var admission key
	name, count, _ := strings.Cut(asked, ":")
	if _, err := fmt.Sscan(count, &files); err != nil {
		return fmt.Errorf("%s=%s: %w", peerVariable, asked, err)
	}
	if err := admission.UnmarshalText([]byte(name)); err != nil {
		return fmt.Errorf("%s=%s: %w", peerVariable, asked, err)
	}
	// Listening again makes the kernel vouch for this process to those who
	// connect, not for the parent.
	if err := unix.Listen(listenerFD, unix.SOMAXCONN); err != nil {
		return fmt.Errorf("descriptor %d: %w", listenerFD, err)
	}
	file := os.NewFile(listenerFD, "listener")
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("descriptor %d: %w", listenerFD, err)
	}
	h := &host{listener: listener, admission: admission, once: true, patience: defaultPatience, note: func(string) {}}
	for i := range files {
		h.files = append(h.files, os.NewFile(uintptr(filesFD+i), "inherited"))
	}
	return h.serve(context.Background())
}
