//go:build cgo && linux

// Loading libibverbs at run time.

#define _GNU_SOURCE // dlvsym

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "shim_library.h"

// The library still has functions of version 1.0 for older layouts of the
// structures; a lookup by version cannot get one of those by mistake. C libraries
// other than glibc do not know versions, and see the current functions only.
static void *find(void *handle, const char *name, const char *version)
{
#ifdef __GLIBC__
	void *f = dlvsym(handle, name, version);
	if (f)
		return f;
#endif
	(void)version;
	return dlsym(handle, name);
}

struct shim_library *shim_load(const char *path, char *why, size_t why_bytes, int *missing)
{
	struct shim_library *l = calloc(1, sizeof *l);
	void *handle;

	*missing = 0;
	if (!l) {
		snprintf(why, why_bytes, "out of memory");
		return NULL;
	}
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		*missing = 1;
		goto failed;
	}
#define FIND(version, result, name, ...)                                                                                \
	l->name = (__typeof__(l->name))find(handle, "ibv_" #name, "IBVERBS_" version);                                  \
	if (!l->name)                                                                                                   \
		goto failed;
	SHIM_CALLS(FIND)
#undef FIND
	return l; // and the library stays loaded
failed:
	snprintf(why, why_bytes, "%s", dlerror());
	if (handle)
		dlclose(handle);
	free(l);
	return NULL;
}
