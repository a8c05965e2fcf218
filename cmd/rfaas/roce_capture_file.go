package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// fileCapture is a recording on its way into a file.
type fileCapture struct {
	flags         *captureFlags
	name          string
	file          *atomicfile.File
	recording     *recording
	say           func(format string, args ...any)
	stopObserving func()
}

// begin begins to capture the packets of all engines that are opened.
func (f *captureFlags) begin(name string, say func(format string, args ...any)) (*fileCapture, error) {
	path, err := capturePath(name)
	if err != nil {
		return nil, err
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w; choose another FILE", name, err)
	}
	limit := int64(f.limit)
	if limit == 0 {
		limit = math.MaxInt64
	}
	r := record(file, limit, f.snap, func() {
		say("%s has reached --limit %s; the command continues without being captured", name, f.limit.String())
	}, enoughRoom)
	return &fileCapture{f, name, file, r, say, softroce.Observe(r.observe)}, nil
}

// capturePath is the path at which the file is to appear. Links are followed, and
// what is no file is not replaced: that might be a device.
func capturePath(name string) (string, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return name, nil
	case err != nil:
		return "", fmt.Errorf("%s cannot be written: %w; choose another FILE", name, err)
	case info.IsDir():
		return "", fmt.Errorf("%s: is a directory; name a file", name)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: is no regular file, and a capture replaces what has its name; choose another FILE", name)
	}
	return filepath.EvalSymlinks(name)
}

// end ends the capture, keeps it if there is one, and says what is in it, or
// why there is none if wanted.
func (c *fileCapture) end(why bool) error {
	c.stopObserving()
	engines, t, ports, err := c.recording.end()
	if engines == 0 {
		c.file.Discard()
		if why {
			c.say("nothing was captured: the command did not use softroce; have it do so with --transport softroce")
		}
		return nil
	}
	if err != nil {
		c.file.Discard()
	} else {
		err = c.file.Commit()
	}
	if err != nil {
		return fmt.Errorf("%w; nothing of the capture is kept", err)
	}
	c.say("%s", c.summary(t))
	if len(ports) > 0 {
		c.say("%s", c.portsNote(ports))
	}
	return nil
}

func (c *fileCapture) summary(t tally) string {
	s := fmt.Sprintf("%s: %d packets, %d bytes, %d dropped", c.name, t.packets, t.bytes, t.dropped)
	if t.dropped > 0 {
		s += " because they came faster than they could be written"
	}
	if t.beyond > 0 {
		s += fmt.Sprintf(", %d not captured after --limit %s", t.beyond, c.flags.limit.String())
	}
	return s
}

// portsNote says how to read packets to other ports than RoCE's, at which tools
// look only when told.
func (c *fileCapture) portsNote(ports []uint16) string {
	list := []string{strconv.Itoa(wire.Port)}
	for _, port := range ports {
		list = append(list, strconv.Itoa(int(port)))
	}
	return fmt.Sprintf("not all packets go to RoCE's port %d: read them with 'rfaas roce dump --port %s %s', and in Wireshark choose Decode As, InfiniBand", wire.Port, strings.Join(list, ","), c.name)
}
