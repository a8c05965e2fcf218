package agent

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// The words of an executor's line.
const (
	readyWord  = "ready "
	failedWord = "failed "
)

// maxLineBytes bounds an executor's line.
const maxLineBytes = 4096

// WriteReady tells the agent that this process, an executor, waits for clients
// at a Unix socket. w is its standard output.
func WriteReady(w io.Writer, address string) error { return writeLine(w, readyWord+address) }

// WriteFailed tells the agent that this process will not be an executor, and
// why.
func WriteFailed(w io.Writer, reason error) error { return writeLine(w, failedWord+reason.Error()) }

func writeLine(w io.Writer, line string) error {
	line = strings.ReplaceAll(line, "\n", "; ")
	_, err := fmt.Fprintln(w, line[:min(len(line), maxLineBytes-1)])
	return err
}

// parseLine takes the address out of an executor's line.
func parseLine(line string) (address string, err error) {
	if address, ok := strings.CutPrefix(line, readyWord); ok {
		return address, nil
	}
	if reason, ok := strings.CutPrefix(line, failedWord); ok {
		return "", errors.New(reason)
	}
	return "", fmt.Errorf("said %q where %q was expected", line, readyWord+"ADDRESS")
}

// readLine reads up to the end of a line.
func readLine(r io.Reader) (string, error) {
	var line []byte
	var buf [512]byte
	for {
		n, err := r.Read(buf[:])
		line = append(line, buf[:n]...)
		if end := strings.IndexByte(string(line), '\n'); end >= 0 {
			return string(line[:end]), nil
		}
		if len(line) > maxLineBytes {
			return "", fmt.Errorf("its first line has more than %d bytes", maxLineBytes)
		}
		if err != nil {
			return "", err
		}
	}
}
