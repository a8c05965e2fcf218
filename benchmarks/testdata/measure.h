/* What the independent baseline programs have in common: clock, pinning, and
 * percentiles of sorted samples. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

__attribute__((noreturn)) static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) != 0)
		die("sched_setaffinity");
}

static long argument(int argc, char **argv, int i, long least)
{
	if (i >= argc || atol(argv[i]) < least) {
		fprintf(stderr, "%s: argument %d is missing or less than %ld\n", argv[0], i, least);
		exit(2);
	}
	return atol(argv[i]);
}

/* child forks a process that runs body and dies with its parent. */
__attribute__((unused)) static void child(int cpu, void (*body)(void))
{
	pid_t parent = getpid();
	pid_t forked = fork();
	if (forked < 0)
		die("fork");
	if (forked > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	pin(cpu);
	body();
	_exit(0);
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* report prints nearest-rank percentiles of n samples as one line of JSON. */
__attribute__((unused)) static void report(int64_t *samples, long n)
{
	qsort(samples, n, sizeof *samples, ascending);
	printf("{\"min\":%lld,\"p50\":%lld,\"p99\":%lld,\"p999\":%lld,\"max\":%lld}\n",
	       (long long)samples[0], (long long)samples[(n - 1) / 2],
	       (long long)samples[(n * 99 + 99) / 100 - 1],
	       (long long)samples[(n * 999 + 999) / 1000 - 1],
	       (long long)samples[n - 1]);
}
