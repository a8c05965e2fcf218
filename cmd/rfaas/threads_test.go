//go:build cgo

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke/executor"
)

// TestThreads: code sees as many processors as it is given: in the environment, and by the
// affinity of its process, within which its threads may choose.
func TestThreads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	sharedObject(t, dir, "threads.so", `#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
static void *stay(void *set) { return (void *)(long)pthread_setaffinity_np(pthread_self(), sizeof(cpu_set_t), set); }
unsigned f(void *in, unsigned n, char *out) {
	cpu_set_t set, one; pthread_t t; void *failed = 0;
	sched_getaffinity(0, sizeof set, &set);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++) if (CPU_ISSET(i, &set)) CPU_SET(i, &one);
	pthread_create(&t, 0, stay, &one); pthread_join(t, &failed);
	const char *blas = getenv("OPENBLAS_NUM_THREADS");
	return sprintf(out, "%s %s %d %ld", getenv("OMP_NUM_THREADS"), blas ? blas : "?", CPU_COUNT(&set), (long)failed);
}`, "-pthread")
	allowed, err := executor.AllowedCores()
	require.NoError(t, err)
	invoke := func(args ...string) string {
		return succeed(t, dir, append([]string{"invoke", "threads.so"}, args...)...)
	}
	if len(allowed) > 1 {
		require.Equal(t, "1 1 1 0", invoke())
		require.Equal(t, "2 2 2 0", invoke("--threads", "2"))
		require.Equal(t, "2 2 2 0", invoke("--threads", "2", "--trust-code"))
		require.Equal(t, "7 2 2 0", invoke("--threads", "2", "--env", "OMP_NUM_THREADS=7"))
	}
	many := len(allowed) + 1
	_, stdout, stderr := run(t, dir, "invoke", "threads.so", "--threads", fmt.Sprint(many))
	require.Equal(t, fmt.Sprintf("%d %[1]d %d 0", many, len(allowed)), stdout)
	require.Contains(t, stderr, fmt.Sprintf("for 1 worker of %d threads", many), "it is not silent")
	refuses(t, dir, []string{"invoke", "threads.so"}, map[string][]string{"--threads 0: must be 1 to ": {"--threads", "0"}})
}

// TestOpenMP: a parallel loop has as many threads as were asked for, with GNU's and with
// LLVM's runtime.
func TestOpenMP(t *testing.T) {
	t.Parallel()
	for _, compiler := range []string{"gcc", "clang"} {
		t.Run(compiler, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
			write(t, dir, "sum.c", `#include <omp.h>
#include <stdio.h>
unsigned sum(void *in, unsigned n, char *out) {
	long sum = 0; int threads = 0;
	#pragma omp parallel reduction(+:sum)
	{
		#pragma omp single
		threads = omp_get_num_threads();
		#pragma omp for
		for (long i = 1; i <= 1000000; i++) sum += i;
	}
	return sprintf(out, "%d threads, %d processors: %ld", threads, omp_get_num_procs(), sum);
}`)
			cmd := exec.CommandContext(t.Context(), compiler, "-O2", "-shared", "-fPIC", "-fopenmp", "-o", "sum.so", "sum.c")
			cmd.Dir = dir
			if said, err := cmd.CombinedOutput(); err != nil {
				require.Empty(t, os.Getenv("CI"), "%v: %s", err, said)
				t.Skipf("needs %s with OpenMP (libomp-dev): %v: %s", compiler, err, said)
			}
			allowed, err := executor.AllowedCores()
			require.NoError(t, err)
			for threads := 1; threads <= min(2, len(allowed)); threads++ {
				require.Equal(t, fmt.Sprintf("%d threads, %[1]d processors: 500000500000", threads),
					succeed(t, dir, "invoke", "sum.so", "--threads", fmt.Sprint(threads)))
			}
			require.Equal(t, fmt.Sprintf("%d threads, %d processors: 500000500000", len(allowed)+1, len(allowed)),
				succeed(t, dir, "invoke", "sum.so", "--threads", fmt.Sprint(len(allowed)+1)))
		})
	}
}
