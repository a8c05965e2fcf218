package command_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke/runtime/command"
)

// BenchmarkStart is a call for which a program is started, beside what os/exec takes to
// start and end the same program.
func BenchmarkStart(b *testing.B) {
	for _, c := range []struct {
		program string
		in      int
	}{{"/bin/true", 0}, {"/bin/cat", 64}, {"/bin/cat", 1 << 20}} {
		in, out := make([]byte, c.in), make([]byte, c.in)
		b.Run(fmt.Sprintf("%s/%d/module", c.program, c.in), func(b *testing.B) {
			f := open(b, command.Config{Program: c.program})
			for b.Loop() {
				n, err := f(b.Context(), in, out)
				require.NoError(b, err)
				require.Equal(b, c.in, n)
			}
		})
		b.Run(fmt.Sprintf("%s/%d/exec", c.program, c.in), func(b *testing.B) {
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), c.program)
				var stdout, stderr bytes.Buffer
				cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = bytes.NewReader(in), &stdout, &stderr, []string{}
				require.NoError(b, cmd.Run())
				require.Equal(b, c.in, stdout.Len())
			}
		})
	}
}

// BenchmarkWarm is a call of a program that serves calls, beside what the same bytes take
// through two pipes to cat and back.
func BenchmarkWarm(b *testing.B) {
	const size = 64
	in, out := make([]byte, size), make([]byte, size)
	b.Run("module", func(b *testing.B) {
		_, f := warm(b, "on", nil)
		b.ReportAllocs()
		for b.Loop() {
			_, err := f(b.Context(), in, out)
			require.NoError(b, err)
		}
	})
	b.Run("pipes", func(b *testing.B) {
		var there, back [2]int
		require.NoError(b, unix.Pipe2(there[:], unix.O_CLOEXEC))
		require.NoError(b, unix.Pipe2(back[:], unix.O_CLOEXEC))
		cat := exec.Command("/bin/cat")
		cat.Stdin, cat.Stdout = os.NewFile(uintptr(there[0]), "in"), os.NewFile(uintptr(back[1]), "out")
		require.NoError(b, cat.Start())
		for b.Loop() {
			_, err := unix.Write(there[1], in)
			require.NoError(b, err)
			n, err := unix.Read(back[0], out)
			require.NoError(b, err)
			require.Equal(b, size, n)
		}
		for _, fd := range []int{there[1], back[0]} {
			require.NoError(b, unix.Close(fd))
		}
		require.NoError(b, cat.Wait())
	})
}
