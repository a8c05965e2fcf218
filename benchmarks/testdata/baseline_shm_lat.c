/* Two processes bounce one message between two cores, through memory that they
 * share; the same as the test baseline-shm-lat.
 *
 * usage: baseline_shm_lat CPU PEER_CPU SIZE ITERATIONS WARMUP
 *
 * SIZE is a multiple of 8 and counts the sequence word, which comes last. Both
 * processes write the same SIZE bytes in turn. */
#include "measure.h"
#include <string.h>
#include <sys/mman.h>

static char *shared;
static long size, rounds;

static void put(const char *payload, uint64_t sequence)
{
	if (size > 8)
		memcpy(shared, payload, size - 8);
	__atomic_store_n((uint64_t *)(shared + size - 8), sequence, __ATOMIC_RELEASE);
}

static void await(char *payload, uint64_t sequence)
{
	while (__atomic_load_n((uint64_t *)(shared + size - 8), __ATOMIC_ACQUIRE) != sequence)
		;
	if (size > 8)
		memcpy(payload, shared, size - 8);
}

static void echo(void)
{
	char *payload = calloc(1, size);
	for (long i = 0; i < rounds; i++) {
		await(payload, 2 * i + 1);
		put(payload, 2 * i + 2);
	}
}

int main(int argc, char **argv)
{
	int cpu = argument(argc, argv, 1, 0), peer_cpu = argument(argc, argv, 2, 0);
	size = argument(argc, argv, 3, 8);
	long iterations = argument(argc, argv, 4, 1), warmup = argument(argc, argv, 5, 0);
	rounds = iterations + warmup;

	int fd = memfd_create("baseline", 0);
	if (fd < 0 || ftruncate(fd, size) != 0)
		die("memfd");
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	char *payload = calloc(1, size);
	int64_t *samples = malloc(rounds * sizeof *samples);
	memset(samples, 0, rounds * sizeof *samples);
	child(peer_cpu, echo);
	pin(cpu);

	int64_t last = now_ns();
	for (long i = 0; i < rounds; i++) {
		put(payload, 2 * i + 1);
		await(payload, 2 * i + 2);
		int64_t now = now_ns();
		samples[i] = now - last;
		last = now;
	}
	report(samples + warmup, iterations);
	return 0;
}
