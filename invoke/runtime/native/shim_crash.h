// Which threads run native code. Read by a signal handler.
#ifndef NATIVE_SHIM_CRASH_H
#define NATIVE_SHIM_CRASH_H

enum native_thread {
	NATIVE_UNSEEN = 0, // was never inside
	NATIVE_OUTSIDE,
	NATIVE_INSIDE,
};

// Accessed without a call, which could allocate.
extern __thread volatile int native_thread __attribute__((tls_model("initial-exec")));

// native_running is the object whose function the thread runs, or NULL.
struct native_object;
extern __thread struct native_object *volatile native_running __attribute__((tls_model("initial-exec")));

void native_first_enter(void);

// native_enter and native_leave enclose everything that runs code of an object on the
// calling thread.
static inline void native_enter(void)
{
	if (__builtin_expect(native_thread == NATIVE_UNSEEN, 0))
		native_first_enter();
	native_thread = NATIVE_INSIDE;
}

static inline void native_leave(void) { native_thread = NATIVE_OUTSIDE; }

#endif
