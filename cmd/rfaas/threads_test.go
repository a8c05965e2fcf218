//go:build cgo

package main

import (
	"fmt"
	"os"
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
