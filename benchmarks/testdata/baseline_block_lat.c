/* Two processes wake each other through eventfds, by blocking reads; the same
 * as the test baseline-block-lat.
 *
 * usage: baseline_block_lat CPU PEER_CPU ITERATIONS WARMUP */
#include "measure.h"
#include <string.h>
#include <sys/eventfd.h>

static int ping, pong;
static long rounds;

static void post(int fd)
{
	uint64_t one = 1;
	if (write(fd, &one, sizeof one) != sizeof one)
		die("write");
}

static void await(int fd)
{
	uint64_t count;
	if (read(fd, &count, sizeof count) != sizeof count)
		die("read");
}

static void echo(void)
{
	for (long i = 0; i < rounds; i++) {
		await(ping);
		post(pong);
	}
}

int main(int argc, char **argv)
{
	int cpu = argument(argc, argv, 1, 0), peer_cpu = argument(argc, argv, 2, 0);
	long iterations = argument(argc, argv, 3, 1), warmup = argument(argc, argv, 4, 0);
	rounds = iterations + warmup;

	ping = eventfd(0, 0);
	pong = eventfd(0, 0);
	if (ping < 0 || pong < 0)
		die("eventfd");
	int64_t *samples = malloc(rounds * sizeof *samples);
	memset(samples, 0, rounds * sizeof *samples);
	child(peer_cpu, echo);
	pin(cpu);

	int64_t last = now_ns();
	for (long i = 0; i < rounds; i++) {
		post(ping);
		await(pong);
		int64_t now = now_ns();
		samples[i] = now - last;
		last = now;
	}
	report(samples + warmup, iterations);
	return 0;
}
