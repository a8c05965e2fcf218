package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program does what it says over several transports, with clients in processes of their own
// that change one entry at the same time.
func TestStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "transport")
	out, err := exec.Command("go", "build", "-ldflags=-w", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for url, address := range map[string]string{"shm:": "unix:" + dir + "/table", "softroce://127.0.0.1:0": "tcp:127.0.0.1:0"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			server := exec.CommandContext(ctx, program, "serve", url, address)
			server.Stderr = t.Output()
			said, err := server.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, server.Start())
			line, err := bufio.NewReader(said).ReadString('\n')
			require.NoError(t, err)
			at := strings.Fields(line)[6]

			do := func(command string, args ...string) (string, error) {
				out, err := exec.CommandContext(ctx, program, append([]string{command, url, at}, args...)...).CombinedOutput()
				return string(out), err
			}
			get := func(key string) string {
				value, err := do("get", key)
				require.NoError(t, err, value)
				return strings.TrimSuffix(value, "\n")
			}
			for _, value := range []string{"Zürich", "", strings.Repeat("x", MaxBytes-len("city"))} {
				said, err := do("set", "city", value)
				require.NoError(t, err, said)
				require.Equal(t, value, get("city"))
			}
			for command, says := range map[string][]string{
				`there is no "town"`: {"get", "town"},
				"a key has at least": {"set", "city", strings.Repeat("x", MaxBytes)},
				"count KEY TIMES":    {"count"},
			} {
				said, err := do(says[0], says[1:]...)
				require.Error(t, err)
				require.Contains(t, said, command)
			}
			const clients, times = 4, 50
			var counting sync.WaitGroup
			for range clients {
				counting.Go(func() {
					said, err := do("count", "visits", fmt.Sprint(times))
					assert.NoError(t, err, said)
				})
			}
			counting.Wait()
			require.Equal(t, fmt.Sprint(clients*times), get("visits"))
			require.NoError(t, server.Process.Signal(os.Interrupt))
			require.NoError(t, server.Wait())
		})
	}
}
