/* Functions in C for the native runtime, with the ABI of rFaaS: read size bytes at
 * args, write the result to res, return its length in bytes. res is not zeroed: what
 * a function does not write there is left from earlier calls. See docs/FUNCTIONS.md. */

#include <stdint.h>
#include <string.h>

/* noop does nothing. */
uint32_t noop(void *args, uint32_t size, void *res)
{
	(void)args;
	(void)size;
	(void)res;
	return 0;
}

/* echo returns its input. */
uint32_t echo(void *args, uint32_t size, void *res)
{
	memcpy(res, args, size);
	return size;
}

/* sum adds 64-bit integers, without regard to overflow. What is left of the input
 * after the last whole one is ignored. */
uint32_t sum(void *args, uint32_t size, void *res)
{
	const uint64_t *terms = args;
	uint64_t total = 0;

	for (uint32_t i = 0; i < size / sizeof *terms; i++)
		total += terms[i];
	memcpy(res, &total, sizeof total);
	return sizeof total;
}
