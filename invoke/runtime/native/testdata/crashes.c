// Functions that do not return.
#define _GNU_SOURCE

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FUNCTION(name) uint32_t name(void *args, uint32_t size, void *res)
#define UNUSED (void)args, (void)size, (void)res

FUNCTION(null_read)
{
	UNUSED;
	return *(volatile uint32_t *)NULL;
}

FUNCTION(say_null)
{
	UNUSED;
	printf("said\nnot to the end");
	return *(volatile uint32_t *)NULL;
}

FUNCTION(say)
{
	UNUSED;
	printf("to the end");
	return 0;
}

// Whether libraries that look at the environment write at once.
FUNCTION(say_environment)
{
	UNUSED;
	printf("%s %s\n", getenv("GFORTRAN_UNBUFFERED_PRECONNECTED"), getenv("PYTHONUNBUFFERED"));
	return 0;
}

FUNCTION(null_call)
{
	uint32_t (*volatile f)(void) = NULL;
	UNUSED;
	return f();
}

// Beyond the result, byte by byte. What was destroyed first would show.
FUNCTION(write_on)
{
	UNUSED;
	for (volatile char *p = res;; p++)
		*p = 'x';
}

// One page behind 1 MiB of results.
FUNCTION(write_behind)
{
	UNUSED;
	((volatile char *)res)[1 << 20] = 'x';
	return 1;
}

// A step over many pages.
FUNCTION(write_far)
{
	UNUSED;
	((volatile char *)res)[60 << 20] = 'x';
	return 1;
}

FUNCTION(write_before)
{
	UNUSED;
	((volatile char *)res)[-1] = 'x';
	return 1;
}

FUNCTION(bus)
{
	char name[] = "/tmp/native-XXXXXX";
	int fd = mkstemp(name);
	volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	UNUSED;
	unlink(name);
	return *p;
}

FUNCTION(illegal)
{
	UNUSED;
#if defined(__x86_64__)
	__asm__ volatile("ud2");
#else
	__asm__ volatile("udf #0");
#endif
	return 0;
}

FUNCTION(trap)
{
	UNUSED;
#if defined(__x86_64__)
	__asm__ volatile("int3");
#else
	__asm__ volatile("brk #1");
#endif
	return 0;
}

FUNCTION(divide)
{
	UNUSED;
#if defined(__x86_64__)
	volatile int seven = 7, zero = 0;
	return (uint32_t)(seven / zero);
#else
	raise(SIGFPE);
	return 0;
#endif
}

FUNCTION(give_up)
{
	UNUSED;
	abort();
}

// As a filter of system calls does it.
FUNCTION(forbidden)
{
	UNUSED;
	raise(SIGSYS);
	return 0;
}

FUNCTION(blocked)
{
	sigset_t all;
	UNUSED;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	return *(volatile uint32_t *)NULL;
}

// The compiler must not see that this never ends.
static volatile int deeper = 1;

static __attribute__((noinline)) uint32_t recurse(uint32_t n)
{
	volatile char frame[4096];
	frame[n % sizeof frame] = 1;
	return deeper ? recurse(n + 1) + (uint32_t)frame[0] : n;
}

FUNCTION(overflow)
{
	UNUSED;
	return recurse(0);
}

// A frame that steps over an ordinary guard.
FUNCTION(overflow_far)
{
	volatile char *array = __builtin_alloca(40 << 20);
	UNUSED;
	array[0] = 1;
	return 0;
}

FUNCTION(exit_0)
{
	UNUSED;
	exit(0);
}

FUNCTION(exit_7)
{
	UNUSED;
	exit(7);
}

FUNCTION(exit_9_now)
{
	UNUSED;
	_exit(9);
}

static void *crash(void *unused)
{
	*(volatile int *)NULL = 1;
	return unused;
}

static void *crash_deep(void *unused)
{
	recurse(0);
	return unused;
}

static void *crash_abort(void *unused)
{
	(void)unused;
	abort();
}

static uint32_t in_thread(void *(*f)(void *))
{
	pthread_t t;
	pthread_create(&t, NULL, f, NULL);
	for (;;)
		pause();
}

FUNCTION(thread_null)
{
	UNUSED;
	return in_thread(crash);
}

FUNCTION(thread_overflow)
{
	UNUSED;
	return in_thread(crash_deep);
}

FUNCTION(thread_abort)
{
	UNUSED;
	return in_thread(crash_abort);
}

static pthread_mutex_t hold = PTHREAD_MUTEX_INITIALIZER;

static void *crash_after(void *unused)
{
	pthread_mutex_lock(&hold);
	*(volatile int *)NULL = 1;
	return unused;
}

// Leaves a thread that crashes when the next function was called and has returned.
FUNCTION(thread_left)
{
	pthread_t t;
	UNUSED;
	pthread_mutex_lock(&hold);
	pthread_create(&t, NULL, crash_after, NULL);
	return 0;
}

FUNCTION(thread_go)
{
	UNUSED;
	pthread_mutex_unlock(&hold);
	return 0;
}

FUNCTION(leave)
{
	UNUSED;
	pthread_exit(NULL);
}
