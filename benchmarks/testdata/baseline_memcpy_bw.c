/* One process copies between two areas of shared memory, going round a few
 * buffers of each; the same as the test baseline-memcpy-bw.
 *
 * usage: baseline_memcpy_bw CPU SIZE STRIDE BUFFERS ITERATIONS WARMUP */
#include "measure.h"
#include <string.h>
#include <sys/mman.h>

static char *area(size_t bytes, int fill)
{
	int fd = memfd_create("baseline", 0);
	if (fd < 0 || ftruncate(fd, bytes) != 0)
		die("memfd");
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	memset(memory, fill, bytes);
	return memory;
}

int main(int argc, char **argv)
{
	int cpu = argument(argc, argv, 1, 0);
	long size = argument(argc, argv, 2, 1), stride = argument(argc, argv, 3, size);
	long buffers = argument(argc, argv, 4, 1);
	long iterations = argument(argc, argv, 5, 1), warmup = argument(argc, argv, 6, 0);
	pin(cpu);
	char *from = area(stride * buffers, 1), *to = area(stride * buffers, 2);

	int64_t start = 0;
	for (long i = 0; i < warmup + iterations; i++) {
		if (i == warmup)
			start = now_ns();
		long at = i % buffers * stride;
		memcpy(to + at, from + at, size);
		__asm__ volatile("" ::: "memory");
	}
	double seconds = (now_ns() - start) / 1e9;
	if (memcmp(from, to, size) != 0) {
		fprintf(stderr, "the copy differs\n");
		return 1;
	}
	printf("{\"bytes_per_s\":%.0f}\n", (double)size * iterations / seconds);
	return 0;
}
