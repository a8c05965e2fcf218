//go:build cgo && linux

package ibv

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What the fake libibverbs is built from, so that the test program can do so
// wherever it runs.
//
//go:embed *.h testdata
var sources embed.FS

var folder string // of this run, with the sources and the fake

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "ibv"); err != nil {
		panic(err)
	}
	if err = os.CopyFS(folder, sources); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

// lacking skips the test for want of something, which has to be there in CI.
func lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs %s, and has to run in CI", what)
	}
	t.Skipf("needs %s", what)
}

func compiler(t testing.TB) string {
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	lacking(t, "a C compiler")
	return ""
}

// built is the fake, compiled once.
var built struct {
	sync.Once
	out []byte
	err error
}

// fake loads a libibverbs of the test's own, see testdata/fake.c. prepare may be
// nil.
func fake(t testing.TB, prepare func(*control)) (*library, *control) {
	t.Helper()
	cc := compiler(t)
	built.Do(func() {
		cmd := exec.Command(cc, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC", "-I.",
			"-Wl,--version-script=testdata/fake.versions", "-o", "fake.so", "testdata/fake.c")
		cmd.Dir = folder
		built.out, built.err = cmd.CombinedOutput()
	})
	require.NoError(t, built.err, string(built.out))
	// The loader takes two files for two libraries.
	so := filepath.Join(t.TempDir(), "libfake.so")
	program, err := os.ReadFile(filepath.Join(folder, "fake.so"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(so, program, 0o755))
	c := newControl(t, so+".control")
	c.devices, c.accept = 1, -1
	if prepare != nil {
		prepare(c)
	}
	l, err := openLibrary(so)
	require.NoError(t, err)
	return l, c
}

// take returns what the fake has written down since the last time.
func (c *control) take() string {
	text := string(c.trace[:c.traced])
	c.traced = 0
	return text
}

// failNext makes a call of the fake fail until the next failNext.
func (c *control) failNext(call string, errno unix.Errno) {
	c.fail, c.failErrno = name(call), int32(errno)
}

func name(s string) (n [32]byte) {
	copy(n[:], s)
	return n
}

func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

// opened is the first device of a fake, with a protection domain and a queue of
// completions.
type opened struct {
	*control
	context *Context
	pd      *PD
	cq      *CQ
}

func open(t testing.TB) *opened {
	t.Helper()
	l, c := fake(t, nil)
	ctx, err := l.open("fake0")
	require.NoError(t, err)
	pd, err := ctx.AllocPD()
	require.NoError(t, err)
	cq, err := ctx.NewCQ(64, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		c.fail = name("")
		require.NoError(t, cq.Close())
		require.NoError(t, pd.Close())
		require.NoError(t, ctx.Close())
	})
	c.take()
	return &opened{c, ctx, pd, cq}
}

// qp makes a queue pair, of which the fake has written nothing down.
func (o *opened) qp(t testing.TB) *QP {
	t.Helper()
	qp, err := o.pd.NewQP(QPInit{SendCQ: o.cq, RecvCQ: o.cq, SendDepth: 16, RecvDepth: 8, SGEs: 2, InlineBytes: 60})
	require.NoError(t, err)
	t.Cleanup(func() {
		o.fail = name("")
		require.NoError(t, qp.Close())
	})
	o.take()
	return qp
}
