//go:build cgo && linux && (amd64 || arm64)

// How a crash of native code ends the process.
//
// Go answers a fault outside of Go code with a report on every goroutine and exit
// status 2. Here the signal itself ends the process, at once, so that its parent sees
// which one it was. Go turns faults of its own code into panics; those are passed to its
// handlers.

#define _GNU_SOURCE // gettid, REG_*

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "shim_crash.h"
#include "shim_object.h"

__thread volatile int native_thread __attribute__((tls_model("initial-exec"))) = NATIVE_UNSEEN;
__thread struct native_object *volatile native_running __attribute__((tls_model("initial-exec")));

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};

#define CRASHES (sizeof crashes / sizeof crashes[0])

static struct sigaction previous[NSIG]; // Go's handlers; constant once installed

static pthread_key_t ending;

// die ends the process by the signal. Async-signal-safe.
static void die(int sig)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t set;

	sigaction(sig, &standard, NULL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
	_exit(128 + sig); // as a shell does; only if the call above is forbidden
}

// A thread without an alternate signal stack was created by native code, not by Go.
static int is_native(const ucontext_t *context)
{
	return native_thread == NATIVE_INSIDE || context->uc_stack.ss_size == 0 || (context->uc_stack.ss_flags & SS_DISABLE);
}

static int within_guard(const uint8_t *at, const uint8_t *guard) { return at >= guard && at < guard + GUARD_BYTES; }

// note records that a function wrote past the memory for its result, or used up its stack.
static void note(int sig, const siginfo_t *info)
{
	const struct native_object *o = native_running;
	const uint8_t *at = info->si_addr;

	if (sig != SIGSEGV || info->si_code <= 0 || !o) // with a code of 0 or less, a process sent it
		return;
	if (o->overrun && within_guard(at, area_end(&o->result)))
		__atomic_store_n(o->overrun, o->capacity, __ATOMIC_RELEASE);
	if (o->overflow && within_guard(at, o->stack.base))
		__atomic_store_n(o->overflow, o->stack.bytes, __ATOMIC_RELEASE);
}

static void on_crash(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *go = &previous[sig];

	if (is_native(context) || go->sa_handler == SIG_DFL || go->sa_handler == SIG_IGN) {
		note(sig, info);
		die(sig);
	}
	if (go->sa_flags & SA_SIGINFO)
		go->sa_sigaction(sig, info, context);
	else
		go->sa_handler(sig);
}

// A thread that ends inside a call leaves a goroutine that is never woken.
static void on_thread_end(void *unused)
{
	static const char said[] = "native: a function ended the thread that called it (pthread_exit)\n";

	(void)unused;
	if (native_thread != NATIVE_INSIDE)
		return;
	if (write(STDERR_FILENO, said, sizeof said - 1) < 0) {
		// It cannot be written; the signal is enough.
	}
	die(SIGABRT);
}

void native_first_enter(void) { pthread_setspecific(ending, &ending); }

int native_install(void)
{
	int error = pthread_key_create(&ending, on_thread_end);

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; !error && i < CRASHES; i++) {
		int sig = crashes[i];
		struct sigaction ours;

		if (sigaction(sig, NULL, &previous[sig]))
			return errno;
		ours = previous[sig]; // with its mask, and Go's other flags
		ours.sa_sigaction = on_crash;
		ours.sa_flags |= SA_SIGINFO | SA_ONSTACK;
		if (sigaction(sig, &ours, NULL))
			return errno;
	}
	return error;
}
