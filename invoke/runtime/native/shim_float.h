// The modes of floating-point arithmetic. They belong to the thread, and so to the Go code
// that it runs next. The exceptions' status is not among them.
#ifndef NATIVE_SHIM_FLOAT_H
#define NATIVE_SHIM_FLOAT_H

#include <stdint.h>

#if defined(__x86_64__)

struct float_mode {
	uint32_t sse;
	uint16_t x87;
};

#define SSE_STATUS 0x3fu

static inline void float_save(struct float_mode *m)
{
	m->sse = __builtin_ia32_stmxcsr();
	__asm__ volatile("fnstcw %0" : "=m"(m->x87));
}

// Reading is cheap, writing is not.
static inline void float_restore(const struct float_mode *m)
{
	struct float_mode now;

	float_save(&now);
	if ((now.sse ^ m->sse) & ~SSE_STATUS)
		__builtin_ia32_ldmxcsr(m->sse);
	if (now.x87 != m->x87)
		__asm__ volatile("fldcw %0" : : "m"(m->x87));
}

#elif defined(__aarch64__)

struct float_mode {
	uint64_t fpcr;
};

static inline void float_save(struct float_mode *m) { __asm__ volatile("mrs %0, fpcr" : "=r"(m->fpcr)); }

static inline void float_restore(const struct float_mode *m)
{
	struct float_mode now;

	float_save(&now);
	if (now.fpcr != m->fpcr)
		__asm__ volatile("msr fpcr, %0" : : "r"(m->fpcr));
}

#else
#error "package native is written for amd64 and arm64; build with CGO_ENABLED=0 elsewhere"
#endif

#endif
