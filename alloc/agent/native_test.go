package agent

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/transcript"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	_ "github.com/rfaas-go/rfaas/softroce"
)

func TestMissingIsolation(t *testing.T) {
	t.Parallel()
	var r confine.Report
	for _, m := range completeIsolation {
		r.Outcomes = append(r.Outcomes, confine.Outcome{Measure: m, Applied: true})
	}
	local := []string{"shm:", "softroce:", "softroce://127.0.0.2:0", "verbs://mlx5_0"}
	require.Empty(t, missing(r, local), "neither a user id nor a limit of processor time is needed")
	beyond := append(local, "softroce://192.0.2.7:0?trust-network")
	require.Equal(t, []confine.Outcome{{Measure: confine.Egress, Detail: "not in this report"}}, missing(r, beyond), "packets may leave the machine")
	r.Outcomes = append(r.Outcomes, confine.Outcome{Measure: confine.Egress, Applied: true})
	require.Empty(t, missing(r, beyond))
	for i, m := range completeIsolation {
		r.Outcomes[i].Applied, r.Outcomes[i].Detail = false, "an old kernel"
		require.Equal(t, []confine.Outcome{{Measure: m, Detail: "an old kernel"}}, missing(r, local))
		r.Outcomes[i].Applied = true
	}
	require.Len(t, missing(confine.Report{}, local), len(completeIsolation))
}

// isolated is an agent that isolates without some measures, if any, and what it logs.
func isolated(t *testing.T, transport string, without ...confine.Measure) (a *Agent, log *transcript.Transcript) {
	t.Helper()
	cache, err := pack.OpenCache(t.TempDir(), pack.CacheConfig{})
	require.NoError(t, err)
	policy := confine.DefaultPolicy()
	policy.Without = without
	log = &transcript.Transcript{}
	a, err = New(Config{
		Name: "node", Transports: []string{transport}, MemoryBytes: 1 << 30, Packages: cache, Confine: &policy,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	return a, log
}

// Native code is refused where a measure is missing, which is named; other code is not.
func TestNativeNeedsCompleteIsolation(t *testing.T) {
	t.Parallel()
	a, log := isolated(t, "shm:", confine.Landlock, confine.Namespaces)
	refused := a.refuseNative(t.Context(), runtime.Native)
	require.Contains(t, refused, "this node lacks namespaces")
	require.Contains(t, refused, "landlock")
	require.NotContains(t, refused, "seccomp")
	require.Equal(t, refused, a.refuseNative(t.Context(), runtime.Native))
	require.Equal(t, 1, bytes.Count([]byte(log.String()), []byte("missing=landlock")), "the owner is warned once: %s", log)
	require.Equal(t, refused, a.refuseNative(t.Context(), runtime.Command), "programs are native code")
	require.Empty(t, a.refuseNative(t.Context(), runtime.Wasm))

	broken, _ := isolated(t, "shm:", confine.Seccomp) // which is required: no executor starts
	require.Contains(t, broken.refuseNative(t.Context(), runtime.Native), "seccomp-filter is required")
	require.Empty(t, broken.refuseNative(t.Context(), runtime.Wasm), "that is reported when it is started")
}

// Native code that could send to other machines is refused where its packets are not
// filtered.
func TestNativeNeedsEgress(t *testing.T) {
	t.Parallel()
	url := ""
	networks, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, n := range networks {
		if p, err := netip.ParsePrefix(n.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			url = fmt.Sprintf("softroce://%v:0?trust-network", p.Addr())
		}
	}
	if url == "" {
		t.Skip("needs an IPv4 address beyond the loopback")
	}
	a, log := isolated(t, url, confine.Egress)
	require.Contains(t, a.refuseNative(t.Context(), runtime.Native), "egress")
	require.Contains(t, log.String(), "missing=egress")
	local, _ := isolated(t, "softroce:", confine.Egress)
	require.NotContains(t, local.refuseNative(t.Context(), runtime.Native), "egress")
	if whole, log := isolated(t, url); os.Getuid() == 0 && os.Getenv("CI") != "" {
		require.Empty(t, whole.refuseNative(t.Context(), runtime.Native), log)
	}
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

	less, _ := isolated(t, "shm:", confine.Landlock)
	there, refused := take(less)
	require.False(t, there)
	require.Contains(t, refused, "landlock")
	require.Empty(t, less.programs)
	less.cfg.PartialIsolation = true
	there, refused = take(less)
	require.True(t, there, refused)

	whole, log := isolated(t, "shm:")
	there, refused = take(whole)
	if !there { // a machine that lacks something
		require.Contains(t, refused, "this node lacks", log)
	}
}

// The files of a package stay in the cache as long as the agent runs its code.
func TestPackageIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"f.sh": "#!/bin/sh\n", "data": "data", "manifest.json": `{"module": "f.sh"}`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	p, err := pack.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	a, _ := isolated(t, "shm:")
	a.cfg.PartialIsolation = true
	for range 2 { // the second time it is there
		installed, err := a.cfg.Packages.PutPackage(p)
		require.NoError(t, err)
		there, refused := a.take(p.Digest(), installed)
		require.True(t, there, refused)
		require.ErrorIs(t, a.cfg.Packages.Delete(p.Digest()), pack.ErrInUse)
	}
	program := a.programs[p.Digest()]
	require.FileExists(t, filepath.Join(program.Folder, "data"))
	require.NoError(t, a.Close())
	require.NoError(t, a.cfg.Packages.Delete(p.Digest()))
}
