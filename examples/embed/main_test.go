package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Several processes write more lines than there are places, and all arrive, each writer's in its order.
func TestCollect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "embed")
	out, err := exec.Command("go", "build", "-ldflags=-w", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for url, address := range map[string]string{"shm:": "unix:" + dir + "/lines", "softroce://127.0.0.1:0": "tcp:127.0.0.1:0"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			collector := exec.CommandContext(ctx, program, "collect", url, address)
			lines, err := collector.StdoutPipe()
			require.NoError(t, err)
			said, err := collector.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, collector.Start())
			line, err := bufio.NewReader(said).ReadString('\n')
			require.NoError(t, err)
			at := strings.Fields(line)[4]

			const writers, each = 3, 2 * places
			var started []*exec.Cmd
			for w := range writers {
				var text strings.Builder
				for i := range each {
					fmt.Fprintf(&text, "%d %d%s\n", w, i, strings.Repeat("x", i%100))
				}
				writer := exec.CommandContext(ctx, program, "write", url, at)
				writer.Stdin, writer.Stderr = strings.NewReader(text.String()), os.Stderr
				require.NoError(t, writer.Start())
				started = append(started, writer)
			}
			var next [writers]int
			for in := bufio.NewScanner(lines); next[0]+next[1]+next[2] < writers*each; {
				require.True(t, in.Scan(), "the collector has ended: %v", in.Err())
				var w, i int
				var xs string
				fmt.Sscanf(in.Text()+" ", "%d %d%s", &w, &i, &xs)
				require.Equal(t, fmt.Sprintf("%d %d%s", w, next[w], strings.Repeat("x", next[w]%100)), in.Text())
				next[w]++
			}
			for _, writer := range started {
				require.NoError(t, writer.Wait())
			}
			long := exec.CommandContext(ctx, program, "write", url, at)
			long.Stdin = strings.NewReader(strings.Repeat("x", MaxLineBytes+1))
			text, err := long.CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(text), "a line of 113 bytes; at most 112")
			require.NoError(t, collector.Process.Signal(os.Interrupt))
			require.NoError(t, collector.Wait())
		})
	}
}
