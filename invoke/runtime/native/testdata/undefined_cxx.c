#include <stdint.h>

uint32_t _ZN6nobody12defines_thisEv(void);

uint32_t calls_it(void *args, uint32_t size, void *res)
{
	(void)args, (void)size, (void)res;
	return _ZN6nobody12defines_thisEv();
}
