#include <stdint.h>

uint32_t nobody_defines_this(void);

uint32_t calls_it(void *args, uint32_t size, void *res)
{
	(void)args, (void)size, (void)res;
	return nobody_defines_this();
}
