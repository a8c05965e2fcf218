package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// maxScriptLine is how much of a script's first line the kernel reads.
const maxScriptLine = 255

// readScript reads which interpreter a script names in its first line.
func readScript(r io.ReaderAt, _ int64) (*Code, error) {
	line := make([]byte, maxScriptLine+1)
	n, err := r.ReadAt(line, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	line, _, whole := bytes.Cut(line[:n], []byte("\n"))
	if !whole && n > maxScriptLine {
		return nil, fmt.Errorf("its first line is too long: an interpreter (#!) must be named in %d bytes", maxScriptLine)
	}
	if bytes.HasSuffix(line, []byte("\r")) {
		return nil, errors.New("its lines end in carriage returns, which the kernel takes for a part of the interpreter's name (#!): convert it to lines of Unix")
	}
	words := strings.FieldsFunc(string(line[len(magicScript):]), func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 || !strings.HasPrefix(words[0], "/") {
		return nil, errors.New("its first line must name an interpreter by its absolute path, such as #!/usr/bin/env python3")
	}
	for _, word := range words {
		if !printable(word, maxScriptLine) {
			return nil, fmt.Errorf("its first line names the interpreter %s, which must be printable UTF-8", shown(words[0]))
		}
	}
	needed := words[:1]
	if words[0] == "/usr/bin/env" || words[0] == "/bin/env" {
		i := 1
		for i < len(words) && (strings.HasPrefix(words[i], "-") || strings.Contains(words[i], "=")) {
			i++
		}
		if i == len(words) {
			return nil, fmt.Errorf("its first line, %s, does not say which interpreter: name it, as in #!/usr/bin/env python3", shown(string(line)))
		}
		needed = append(needed, words[i])
	}
	return &Code{Runtime: runtime.Command, Target: "linux", EntryPoints: []string{}, Needed: needed}, nil
}
