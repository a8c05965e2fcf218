//go:build cgo

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sharedObject compiles C code in dir.
func sharedObject(t *testing.T, dir, out, source string, flags ...string) {
	t.Helper()
	file := filepath.Join(dir, "source.c")
	require.NoError(t, os.WriteFile(file, []byte(source), 0o644))
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, out)), 0o755))
	if _, err := exec.LookPath("gcc"); err != nil {
		require.Empty(t, os.Getenv("CI"), "gcc is missing")
		t.Skip("gcc is missing")
	}
	text, err := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-o", filepath.Join(dir, out), file}, flags...)...).CombinedOutput()
	require.NoError(t, err, "%s", text)
}

// condaFolder is a folder for an environment as conda's: under /opt, if it may be made there.
func condaFolder(t *testing.T, otherwise string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/opt", "rfaas-test-")
	if err != nil {
		return filepath.Join(otherwise, "conda")
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

// TestLibrariesAreFound: code with a library in a folder of its own, as conda, spack and
// modules have them, isolated and not; and what is said when it is not found.
func TestLibrariesAreFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	const (
		library = "int answer(void) { return 42; }"
		user    = `#include <stdio.h>
int answer(void);
unsigned f(void *in, unsigned n, char *out) {
	FILE *data = fopen("data.txt", "r"); char text[16] = "nothing";
	if (data) { if (fscanf(data, "%15s", text) != 1) text[0] = 0; fclose(data); }
	return sprintf(out, "%d %s", answer(), text);
}`
	)
	env := condaFolder(t, dir)
	sharedObject(t, env, "lib/libanswer.so", library) // without a soname, as a simple Makefile makes it
	link := []string{"-L", filepath.Join(env, "lib"), "-lanswer"}
	sharedObject(t, dir, "rpath.so", user, append(link, "-Wl,-rpath,"+filepath.Join(env, "lib"))...)
	sharedObject(t, env, "lib/origin.so", user, append(link, "-Wl,-rpath,$ORIGIN")...)
	sharedObject(t, dir, "plain.so", user, link...)
	sharedObject(t, dir, "folder/plain.so", user, link...)
	write(t, filepath.Join(dir, "folder"), "data.txt", "data")
	write(t, filepath.Join(dir, "folder"), "manifest.json", `{"module": "plain.so"}`)
	text := read(t, filepath.Join(env, "lib"), "libanswer.so")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder", "lib"), 0o755))
	write(t, filepath.Join(dir, "folder", "lib"), "libanswer.so", text)
	succeed(t, dir, "pack", "-o", "packed.rfaas", "folder")
	// A library that the executor itself needs: it is not loaded before the process is
	// confined, and then the system's is there.
	const intruder = `__attribute__((constructor)) static void begin(void) { __builtin_trap(); }`
	for _, name := range []string{"intruder/libc.so.6", "intruder/lib/libc.so.6"} {
		sharedObject(t, dir, name, intruder, "-nostdlib")
	}
	for _, name := range []string{"plain.so", "data.txt", "manifest.json", "lib/libanswer.so"} {
		write(t, filepath.Join(dir, "intruder", filepath.Dir(name)), filepath.Base(name), read(t, dir, "folder", name))
	}

	succeed(t, dir, "pack", "-o", "with.rfaas", "--with-libraries", "rpath.so")
	require.NotContains(t, succeed(t, dir, "inspect", "with.rfaas"), "libc.so.6, ", "that is the system's")

	path := "LD_LIBRARY_PATH=" + filepath.Join(env, "lib")
	for _, c := range []struct {
		what, want string
		args       []string
	}{
		{"RPATH", "42 nothing", []string{"rpath.so", "--read", env}},
		{"$ORIGIN", "42 nothing", []string{env + "/lib/origin.so", "--read", env}},
		{"LD_LIBRARY_PATH", "42 nothing", []string{"plain.so", "--read", env, "--env", path}},
		{"another name", "42 nothing", []string{"plain.so", "--directory", env + ":/env", "--env", "LD_LIBRARY_PATH=/env/lib"}},
		{"RPATH, found by another name", "42 nothing", []string{"rpath.so", "--directory", env + ":/env", "--env", "LD_LIBRARY_PATH=/env/lib"}},
		{"folder", "42 data", []string{"folder"}},
		{"package", "42 data", []string{"packed.rfaas"}},
		{"a libc", "42 data", []string{"intruder"}},
		{"a libc, when the program starts anew", "42 data", []string{"intruder", "--env", "LD_BIND_NOW=1"}},
		{"with libraries", "42 nothing", []string{"with.rfaas"}},
		{"RPATH, trusted", "42 nothing", []string{"rpath.so", "--trust-code"}},
		{"$ORIGIN, trusted", "42 nothing", []string{env + "/lib/origin.so", "--trust-code"}},
		{"LD_LIBRARY_PATH, trusted", "42 nothing", []string{"plain.so", "--trust-code", "--env", path}},
		{"package, trusted", "42 data", []string{"packed.rfaas", "--trust-code"}},
	} {
		require.Equal(t, c.want, succeed(t, dir, append([]string{"invoke"}, c.args...)...), c.what)
	}

	lib := filepath.Join(env, "lib")
	refuses(t, dir, []string{"invoke"}, map[string][]string{
		"rpath.so needs libanswer.so, which is in " + lib + ": isolated functions do not see that folder; let it read the folder with --read " + lib: {"rpath.so"},
		"origin.so needs libanswer.so, which is in " + lib: {env + "/lib/origin.so"},
	})
	s := startWith(t, dir, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, path) }, "invoke", "plain.so")
	require.Equal(t, exitUsage, s.wait())
	require.Contains(t, s.stderr.String(), "plain.so needs libanswer.so, which your LD_LIBRARY_PATH finds in "+lib+": isolated functions do not get your environment; add --env LD_LIBRARY_PATH --read "+lib)
	require.Contains(t, fails(t, dir, "pack", "--with-libraries", "plain.so"), "needs libraries that are not found: libanswer.so; say where they are with LD_LIBRARY_PATH")
	require.Contains(t, fails(t, dir, "invoke", "plain.so"), "native: plain.so: libanswer.so: cannot open shared object file")
}

// TestPackageOfTenant: a node gives executors all of a tenant's package, and a lease's cores
// are the threads.
func TestPackageOfTenant(t *testing.T) {
	t.Parallel()
	c, dir := newCluster(t), t.TempDir()
	sharedObject(t, dir, "folder/lib/libcity.so", `const char *city(void) { return "Zürich"; }`)
	sharedObject(t, dir, "folder/f.so", `#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
const char *city(void);
unsigned f(void *in, unsigned n, char *out) {
	char at[99], text[16] = ""; FILE *data = fopen("data.txt", "r");
	if (data) { if (!fgets(text, sizeof text, data)) text[0] = 0; fclose(data); }
	return sprintf(out, "%s %s %s %d %s", city(), text, getcwd(at, sizeof at) ? at : "?", access("data.txt", W_OK), getenv("OMP_NUM_THREADS"));
}`, "-L", filepath.Join(dir, "folder/lib"), "-lcity")
	write(t, filepath.Join(dir, "folder"), "data.txt", "data")
	write(t, filepath.Join(dir, "folder"), "manifest.json", `{"module": "f.so"}`)
	c.agent("node", "--cores", "2", "--partial-isolation") // other users have no control groups
	require.Equal(t, "Zürich data /package -1 2", succeed(t, dir, "invoke", "--manager", c.url, "--threads", "2", "folder"))
	refuses(t, dir, []string{"invoke", "folder", "--manager", c.url}, map[string][]string{
		"--read: what functions have besides their package is the nodes' to give": {"--read", "/usr/share"},
	})
	c.end()
}

// TestPlugIn: a library that code loads uses the symbols of those that the code needs, as in a
// program; Python's extensions do.
func TestPlugIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	sharedObject(t, dir, "folder/libpython.so", `const char *answer(void) { return "42"; }`)
	sharedObject(t, dir, "folder/extension.so", `const char *answer(void); const char *extension(void) { return answer(); }`)
	sharedObject(t, dir, "folder/f.so", `#include <dlfcn.h>
#include <stdio.h>
const char *answer(void);
unsigned f(void *in, unsigned n, char *out) {
	void *library = dlopen("./extension.so", RTLD_NOW);
	const char *(*extension)(void) = library ? dlsym(library, "extension") : answer;
	return sprintf(out, "%s%s", extension(), library ? "" : dlerror());
}`, "-L", filepath.Join(dir, "folder"), "-lpython", "-ldl")
	write(t, filepath.Join(dir, "folder"), "manifest.json", `{"module": "f.so"}`)
	require.Equal(t, "42", succeed(t, dir, "invoke", "folder"))
}
