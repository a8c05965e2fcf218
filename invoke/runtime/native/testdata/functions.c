// Functions that behave well, or well enough to return.
#define _GNU_SOURCE

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef ANSWER
#define ANSWER 1
#endif

int data; // not a function

uint32_t noop(void *args, uint32_t size, void *res)
{
	(void)args, (void)size, (void)res;
	return 0;
}

uint32_t echo(void *args, uint32_t size, void *res)
{
	memcpy(res, args, size);
	return size;
}

// Another object may have a function of this name.
uint32_t which(void) { return ANSWER; }

// Which of the builds of this file it is.
uint32_t answer(void *args, uint32_t size, void *res)
{
	(void)args, (void)size;
	*(uint32_t *)res = which();
	return sizeof(uint32_t);
}

uint32_t count(void *args, uint32_t size, void *res)
{
	static uint32_t calls;
	(void)args, (void)size;
	*(uint32_t *)res = ++calls;
	return sizeof calls;
}

// The input is the length in MiB of an array on the stack.
uint32_t use_stack(void *args, uint32_t size, void *res)
{
	size_t bytes = (size_t) * (uint32_t *)args << 20;
	volatile char *array = __builtin_alloca(bytes);
	(void)size;
	for (size_t i = 0; i < bytes; i += 4096)
		array[i] = 1;
	((uint64_t *)res)[0] = (uint64_t)(uintptr_t)array % 16;
	return 8;
}

// The input says how many bytes to write, and which length to return.
uint32_t fill(void *args, uint32_t size, void *res)
{
	uint32_t *lengths = args;
	(void)size;
	memset(res, 'x', lengths[0]);
	return lengths[1];
}

// Where the result is, and where the stack.
uint32_t where(void *args, uint32_t size, void *res)
{
	uint64_t at[2] = {(uint64_t)(uintptr_t)res, (uint64_t)(uintptr_t)&at};
	(void)args, (void)size;
	memcpy(res, at, sizeof at);
	return sizeof at;
}

// Says with the first byte of its input that it runs, and returns once the second
// one is set.
uint32_t wait_for_it(void *args, uint32_t size, void *res)
{
	volatile unsigned char *bytes = args;
	(void)size, (void)res;
	bytes[0] = 1;
	while (!bytes[1])
		usleep(1000);
	return 0;
}

uint32_t say(void *args, uint32_t size, void *res)
{
	(void)res;
	printf("said %.*s\n", (int)size, (char *)args);
	fflush(stdout);
	return 0;
}

uint32_t spoil_float(void *args, uint32_t size, void *res)
{
	(void)args, (void)size, (void)res;
#if defined(__x86_64__)
	uint16_t x87 = 0x0c7f; // towards zero, single precision
	__builtin_ia32_ldmxcsr(0x1f80 | 0x8040 | 0x6000); // flush to zero, denormals are zero, towards zero
	__asm__ volatile("fldcw %0" : : "m"(x87));
#elif defined(__aarch64__)
	__asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)1 << 24 | (uint64_t)3 << 22));
#endif
	return 0;
}

#if defined(__x86_64__)
uint32_t float_modes(void *args, uint32_t size, void *res)
{
	uint16_t x87;
	(void)args, (void)size;
	__asm__ volatile("fnstcw %0" : "=m"(x87));
	((uint32_t *)res)[0] = __builtin_ia32_stmxcsr() & ~0x3fu;
	((uint32_t *)res)[1] = x87;
	return 8;
}
#endif

static void *nothing(void *unused) { return unused; }

// Makes a thread that ends well, and waits for it.
uint32_t thread(void *args, uint32_t size, void *res)
{
	pthread_t t;
	(void)args, (void)size, (void)res;
	pthread_create(&t, NULL, nothing, NULL);
	pthread_join(t, NULL);
	return 0;
}

static uint32_t chosen(void *args, uint32_t size, void *res)
{
	(void)args, (void)size;
	memcpy(res, "chosen", 6);
	return 6;
}

static void *choose(void) { return chosen; }

uint32_t indirect(void *args, uint32_t size, void *res) __attribute__((ifunc("choose")));
