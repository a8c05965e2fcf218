package executor

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

var rounds = flag.Int("crashes", 12, "how many executors TestLeavesNothing has crash, of either kind")

// Executors that crash and are replaced leave nothing behind: in the supervisor, the
// kernel's control groups, and the file system.
func TestLeavesNothing(t *testing.T) { // not parallel: it counts what the process has
	effort.TwoProcesses(t)
	for name, policy := range map[string]*confine.Policy{"confined": confined(), "not confined": nil} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			s := supervise(t, Config{Spares: 1, Confine: policy})
			round := func(i int) {
				function := []string{"segv", "exit"}[i%2]
				e := begin(t, s, assignmentOf(function))
				_, err := call(t, e, function, "")
				require.ErrorIs(t, err, invoke.ErrWorkerGone)
				require.Equal(t, function, requireEnds(t, e).Function)
				require.NoError(t, e.remains)
			}
			for i := range 6 {
				round(i)
			}
			before := s.traces(t)
			for i := range *rounds {
				round(i)
			}
			require.True(t, wait(func() bool {
				for what, n := range s.traces(t) {
					if n > before[what] {
						return false
					}
				}
				return true
			}), "before %v, after %v", before, s.traces(t))
		})
	}
}

// traces counts resources in use while a spare executor is ready.
func (s *Supervisor) traces(t *testing.T) map[string]int {
	t.Helper()
	for s.Spares() < 1 {
		time.Sleep(time.Millisecond)
	}
	entries := func(dir string) int {
		list := must(os.ReadDir(dir))
		return len(list)
	}
	maps := must(os.ReadFile("/proc/self/maps"))
	groups := 0
	s.mu.Lock()
	own, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", s.spares[0].PID()))
	s.mu.Unlock()
	require.NoError(t, err)
	if host := regexp.MustCompile(`/([^/]+)/\d+\n`).FindSubmatch(own); s.host != nil && host != nil {
		filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && strings.Contains(path, string(host[1])) {
				groups++
			}
			return nil // some disappear during the walk
		})
	}
	children := must(filepath.Glob("/proc/self/task/*/children"))
	processes := 0
	for _, file := range children {
		list, _ := os.ReadFile(file) // the thread may have ended
		processes += len(strings.Fields(string(list)))
	}
	return map[string]int{
		"descriptors": entries("/proc/self/fd"), "memory files mapped": strings.Count(string(maps), "memfd:"),
		"goroutines":     goruntime.NumGoroutine(),
		"control groups": groups, "processes": processes, "temporary files": entries(os.TempDir()),
	}
}
