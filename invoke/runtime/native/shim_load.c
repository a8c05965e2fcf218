//go:build cgo && linux && (amd64 || arm64)

// Loading shared objects.

#define _GNU_SOURCE // RTLD_NOLOAD

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shim_crash.h"
#include "shim_float.h"
#include "shim_object.h"

int area_map(struct area *a, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *base;

	if (bytes > SIZE_MAX / 2)
		return ENOMEM;
	bytes = (bytes + page - 1) & ~(page - 1);
	base = mmap(NULL, bytes + 2 * GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return errno;
	if (mprotect(base + GUARD_BYTES, bytes, PROT_READ | PROT_WRITE)) {
		int error = errno;
		munmap(base, bytes + 2 * GUARD_BYTES);
		return error;
	}
	// A huge page counts to the tenant's limit in full, even if a few bytes are used.
	madvise(base + GUARD_BYTES, bytes, MADV_NOHUGEPAGE);
	*a = (struct area){base, bytes};
	return 0;
}

void area_unmap(struct area *a)
{
	if (a->base)
		munmap(a->base, a->bytes + 2 * GUARD_BYTES);
	*a = (struct area){0};
}

static void discard(struct native_object *o)
{
	area_unmap(&o->stack);
	area_unmap(&o->result);
	free(o);
}

struct native_object *native_open(const char *path, struct native_sizes sizes, char *why, size_t why_bytes)
{
	struct native_object *o = calloc(1, sizeof *o);
	struct float_mode mode;
	int error = o ? 0 : ENOMEM;

	if (!error)
		error = area_map(&o->stack, sizes.stack);
	if (!error)
		error = area_map(&o->result, sizes.result);
	if (error) {
		snprintf(why, why_bytes, "memory for its stack (%zu bytes) and results (%zu bytes): %s", sizes.stack, sizes.result, strerror(error));
		if (o)
			discard(o);
		return NULL;
	}
	o->direct_bytes = sizes.direct;
	o->overrun = sizes.overrun;
	o->overflow = sizes.overflow;
	float_save(&mode); // constructors of -ffast-math change it
	native_enter();
	o->handle = dlopen(path, RTLD_NOW | (sizes.global ? RTLD_GLOBAL : RTLD_LOCAL));
	native_leave();
	float_restore(&mode);
	if (!o->handle) {
		snprintf(why, why_bytes, "%s", dlerror());
		discard(o);
		return NULL;
	}
	return o;
}

int native_close(struct native_object *o, const char *path)
{
	struct float_mode mode;
	void *still;

	float_save(&mode);
	native_enter();
	dlclose(o->handle);
	still = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
	if (still)
		dlclose(still);
	fflush(NULL);
	native_leave();
	float_restore(&mode);
	discard(o);
	return still != NULL;
}

native_function native_lookup(struct native_object *o, const char *name)
{
	native_function f = NULL;

	native_enter(); // the resolver of an indirect function is the object's code
	*(void **)&f = dlsym(o->handle, name);
	native_leave();
	return f;
}
