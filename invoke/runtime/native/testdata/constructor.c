// Code that crashes when it is loaded, or unloaded (-DLATE), or looked up
// (-DRESOLVER), or only changes the
// floating-point modes then (-DFLOAT).
#include <stdint.h>
#include <stdlib.h>

uint32_t noop(void *args, uint32_t size, void *res)
{
	(void)args, (void)size, (void)res;
	return 0;
}

#if defined(RESOLVER)
static void *choose(void) { return *(void *volatile *)8; }

uint32_t chosen(void *args, uint32_t size, void *res) __attribute__((ifunc("choose")));
#else

#if defined(LATE)
__attribute__((destructor))
#else
__attribute__((constructor))
#endif
static void
at_once(void)
{
#if !defined(FLOAT)
	*(volatile int *)8 = 1;
#elif defined(__x86_64__)
	__builtin_ia32_ldmxcsr(0x1f80 | 0x8040);
#elif defined(__aarch64__)
	__asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24));
#endif
}
#endif
