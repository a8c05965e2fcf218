package executor

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// The descriptors that an executor is started with, after the usual three.
const (
	controlFD  = 3
	progressFD = 4
	logFD      = 5
)

// Setup is what an executor needs to be ready for any assignment.
type Setup struct {
	// Transports are the URLs of the devices that clients can connect to. Executors
	// open them before they isolate themselves; each assignment uses one.
	Transports []string
}

// Assignment is what an executor runs.
type Assignment struct {
	Transport string      // one of Setup's; the first if empty
	Mode      invoke.Mode // how it waits for calls
	Runtime   string      // one of invoke/runtime's names
	Functions []Function  // what it offers
	Slots     int         // see invoke.WorkerConfig
	SlotBytes int         // see invoke.WorkerConfig
	// PayloadBytes is the most memory for inputs and results beyond the slots, of all
	// clients together; 0 allows none. It does not count to MemoryBytes.
	PayloadBytes int64
	MemoryBytes  int64         // of the code; 0: see Config.Confine
	TimeLimit    time.Duration // of a call; 0: no limit
	StackBytes   int64         // of a call, if the runtime is native; 0: its default
	Clients      int           // at once; 1 if 0
	Directories  []Directory   // of the node, that the code may use
	// Folder is a folder of the node with the code and what belongs to it, which it can read.
	// It is the working directory, and an isolated executor with namespaces sees it as
	// confine.FolderName. It must not change meanwhile. Empty for none.
	Folder string
	// Path is the name of the code on the node, in Folder or one of Directories. If there is
	// one, native code is loaded by it, and finds what it looks for beside it ($ORIGIN).
	Path string
	// Arguments and Warm are those of a program, see invoke/runtime/command.
	Arguments []string
	Warm      bool
	// Env are variables of the environment for the code, "NAME=value".
	Env []string
	// Threads is how many threads libraries should compute with: what they ask for it in the
	// environment says so, unless Env does. 0: what they choose.
	Threads int
	Token   []byte // what clients have to present; if empty, Start makes one
}

// Function is a function of an assignment.
type Function struct {
	Name       string // what callers call it
	Entry      string // what the code calls it
	Idempotent bool
}

// Directory is a folder of the node, or a file, that code may use. An executor with a user of
// its own has the rights of "others" there.
type Directory struct {
	// Guest is what the code calls it, an absolute path. Native code can call it by another
	// name than Host only if it is isolated, with namespaces.
	Guest    string
	Host     string // an absolute path
	Writable bool
}

// path is the directory for an executor that is confined. WebAssembly modules have names of
// their own for directories, which may be those of the system's.
func (d *Directory) path(kind string) confine.Path {
	p := confine.Path{Host: d.Host, Guest: d.Guest, Writable: d.Writable}
	if kind == runtime.Wasm {
		p.Guest, p.Anywhere = filepath.Join("/wasi", d.Guest), true
	}
	return p
}

// command is a message to an executor; one of its fields is set.
type command struct {
	Setup       *Setup       `json:",omitempty"`
	LogLevel    slog.Level   `json:",omitempty"` // with a Setup: lower levels are not logged
	Compilation *Compilation `json:",omitempty"` // with the code, and a file for the result
	Assignment  *Assignment  `json:",omitempty"`
	Cores       int          `json:",omitempty"` // with an Assignment: how many it is pinned to; 0: none
	Metered     bool         `json:",omitempty"` // with an Assignment: the last of its files is Order.Page
	Drain       bool         `json:",omitempty"` // answer new calls with invoke.StatusRevoked
	Client      *arrival     `json:",omitempty"`
}

// arrival is a client; its stream comes with the message.
type arrival struct {
	Hello []byte `json:",omitempty"` // already read from the stream: see transport.Adopt
}

// answer is a message from an executor.
type answer struct {
	Confined *confine.Report `json:",omitempty"` // to a Setup: how the executor is isolated
	Failed   string          `json:",omitempty"` // why the command cannot be carried out
}

// maxMessageBytes bounds a message, to what a socket takes in one packet: over a thousand
// functions with usual names.
const maxMessageBytes = 128 << 10

// errNonsense means that the executor does not keep to the protocol.
var errNonsense = errors.New("an answer was expected, but another message came")

// maxFiles is how many descriptors a message can carry.
const maxFiles = 3

// control is an end of the socket pair. It carries JSON messages, one per packet, and
// descriptors with them. One goroutine sends, one receives.
type control struct {
	conn       *net.UnixConn
	takesFiles bool // if not, the kernel drops descriptors that arrive
	buf        []byte
}

// controlPair makes both ends; file is the executor's, to be closed after its
// start.
func controlPair() (c *control, file *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	file = os.NewFile(uintptr(fds[1]), "control of the supervisor")
	own := os.NewFile(uintptr(fds[0]), "control of an executor")
	defer own.Close()
	if c, err = newControl(own); err != nil {
		file.Close()
		return nil, nil, err
	}
	return c, file, nil
}

// newControl makes an end of a socket; the file remains the caller's.
func newControl(file *os.File) (*control, error) {
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("%s is not a Unix socket", file.Name())
	}
	return &control{conn: u}, nil
}

// send sends a message, and files with it.
func (c *control) send(message any, files ...*os.File) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(text) > maxMessageBytes {
		return &OrderError{fmt.Sprintf("its description takes %d bytes, more than %d: use fewer functions, or shorter names", len(text), maxMessageBytes)}
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.conn.WriteMsgUnix(text, rights, nil)
	return err
}

// receive waits for a message, and returns the files that came with it.
func (c *control) receive(message any) (files []*os.File, err error) {
	if c.buf == nil {
		c.buf = make([]byte, maxMessageBytes+1)
	}
	var oob []byte
	if c.takesFiles {
		oob = make([]byte, unix.CmsgSpace(4*maxFiles))
	}
	n, oobn, _, _, err := c.conn.ReadMsgUnix(c.buf, oob)
	if err != nil {
		return nil, err
	}
	if oobn > 0 {
		if files, err = receivedFiles(oob[:oobn]); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(c.buf[:n], message); err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("%w: %w", errNonsense, err)
	}
	return files, nil
}

// receivedFiles takes the descriptors out of a control message.
func receivedFiles(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return nil, errors.Join(errors.New("not one control message"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, fmt.Errorf("not descriptors: %w", err)
	}
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), nameOf(fd))
	}
	return files, nil
}

// nameOf is the name that a memory file was made with.
func nameOf(fd int) string {
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	name, isMemory := strings.CutPrefix(link, "/memfd:")
	if err != nil || !isMemory {
		return "from the supervisor"
	}
	return strings.TrimSuffix(name, " (deleted)")
}

func (c *control) close() error { return c.conn.Close() }
