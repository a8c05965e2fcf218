// The interface to Go. None of it calls back into Go or keeps a pointer into Go memory.
#ifndef NATIVE_SHIM_H
#define NATIVE_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A shared object, with the memory that its functions run in. Only C sees its definition:
// cgo checks no pointers to incomplete types.
struct native_object;

// The ABI of rFaaS.
typedef uint32_t (*native_function)(void *args, uint32_t size, void *res);

// native_install makes faults inside native code end the process by their signal, and has
// the standard output of C written at the end of each line. 0 or an errno. Call it once, when
// Go's own handlers are in place.
int native_install(void);

struct native_sizes {
	size_t stack;
	size_t result;
	uint64_t direct; // outputs of this length and more are not copied
	uint64_t *overrun; // see Config.Overrun; may be NULL
	uint64_t *overflow; // see Config.Overflow; may be NULL
	bool global; // see Config.Global
};

// native_open loads an object, which runs its constructors, or returns NULL and the
// loader's message in why.
struct native_object *native_open(const char *path, struct native_sizes sizes, char *why, size_t why_bytes);

// native_close unloads an object, which runs its destructors, writes what the streams of C
// still hold, and frees the rest. It
// returns whether the loader keeps the object loaded.
int native_close(struct native_object *o, const char *path);

// native_lookup finds a function of the object, or returns NULL.
native_function native_lookup(struct native_object *o, const char *name);

// native_call calls f and returns the length of its result. It copies the result to out,
// unless it is longer than capacity, or f has written to out itself. If there is no memory
// for results of that capacity, it does not call f and returns a negated errno.
int64_t native_call(struct native_object *o, native_function f, uint8_t *args, uint32_t size, uint8_t *out, uint64_t capacity);

#endif
