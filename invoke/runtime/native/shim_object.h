// Memory with guards around it, and the object that has such memory.
#ifndef NATIVE_SHIM_OBJECT_H
#define NATIVE_SHIM_OBJECT_H

#include "shim.h"

// Memory between two inaccessible areas.
struct area {
	uint8_t *base; // of the mapping, guards included
	size_t bytes;  // usable
};

// A frame or an index can be this large without passing the guard. It takes address space only.
#define GUARD_BYTES ((size_t)64 << 20)

int area_map(struct area *a, size_t bytes); // 0 or an errno
void area_unmap(struct area *a);

static inline uint8_t *area_start(const struct area *a) { return a->base + GUARD_BYTES; }
static inline uint8_t *area_end(const struct area *a) { return area_start(a) + a->bytes; }

struct native_object {
	void *handle;
	struct area stack;
	struct area result;
	uint64_t direct_bytes;
	uint64_t capacity; // of the output of the running call
	uint64_t *overrun;  // gets the capacity if the call crashes past its result
	uint64_t *overflow; // gets the size of the stack if the call crashes past that
};

#endif
