package agent

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

func TestMissingIsolation(t *testing.T) {
	t.Parallel()
	var r confine.Report
	for _, m := range completeIsolation {
		r.Outcomes = append(r.Outcomes, confine.Outcome{Measure: m, Applied: true})
	}
	require.Empty(t, missing(r), "neither a user id nor a limit of processor time is needed")
	for i, m := range completeIsolation {
		r.Outcomes[i].Applied, r.Outcomes[i].Detail = false, "an old kernel"
		require.Equal(t, []confine.Outcome{{Measure: m, Detail: "an old kernel"}}, missing(r))
		r.Outcomes[i].Applied = true
	}
	require.Len(t, missing(confine.Report{}), len(completeIsolation))
}

// isolated is an agent that isolates without some measures, if any, and what it logs.
func isolated(t *testing.T, without ...confine.Measure) (a *Agent, log *lockedLog) {
	t.Helper()
	cache, err := pack.OpenCache(t.TempDir(), pack.CacheConfig{})
	require.NoError(t, err)
	policy := confine.DefaultPolicy()
	policy.Without = without
	log = &lockedLog{}
	a, err = New(Config{
		Name: "node", Transports: []string{"shm:"}, MemoryBytes: 1 << 30, Packages: cache, Confine: &policy,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return a, log
}

type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Native code is refused where a measure is missing, which is named; other code is not.
func TestNativeNeedsCompleteIsolation(t *testing.T) {
	t.Parallel()
	a, log := isolated(t, confine.Landlock, confine.Namespaces)
	refused := a.refuseNative(t.Context(), runtime.Native)
	require.Contains(t, refused, "this node lacks namespaces")
	require.Contains(t, refused, "landlock")
	require.NotContains(t, refused, "seccomp")
	require.Equal(t, refused, a.refuseNative(t.Context(), runtime.Native))
	require.Equal(t, 1, bytes.Count([]byte(log.String()), []byte("missing=landlock")), "the owner is told once: %s", log)
	require.Empty(t, a.refuseNative(t.Context(), runtime.Wasm))

	broken, _ := isolated(t, confine.Seccomp) // which is required: no executor starts
	require.Contains(t, broken.refuseNative(t.Context(), runtime.Native), "seccomp-filter is required")
	require.Empty(t, broken.refuseNative(t.Context(), runtime.Wasm), "that is told when it is started")
}

// A package of native code is taken where isolation is complete, and nowhere else.
func TestNativePackage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gcc"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("gcc is missing, and CI is to have it")
		}
		t.Skip("needs gcc")
	}
	library := filepath.Join(t.TempDir(), "noop.so")
	cmd := exec.Command("gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library)
	cmd.Stdin = bytes.NewReader([]byte("unsigned noop(void *args, unsigned size, void *res) { return 0; }\n"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	p, err := pack.Open(library)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	take := func(a *Agent) (there bool, refused string) {
		installed, err := a.cfg.Packages.PutPackage(p)
		require.NoError(t, err)
		return a.take(p.Digest(), installed)
	}

	less, _ := isolated(t, confine.Landlock)
	there, refused := take(less)
	require.False(t, there)
	require.Contains(t, refused, "landlock")
	require.Empty(t, less.programs)
	less.cfg.PartialIsolation = true
	there, refused = take(less)
	require.True(t, there, refused)

	whole, log := isolated(t)
	there, refused = take(whole)
	if !there { // a machine that lacks something
		require.Contains(t, refused, "this node lacks", log)
	}
}
