/* Two processes send one UDP datagram to and fro over the loopback interface,
 * polling; the same as the test baseline-udp-lat.
 *
 * usage: baseline_udp_lat CPU PEER_CPU SIZE ITERATIONS WARMUP */
#include "measure.h"
#include "udp.h"

static int near, far;
static struct sockaddr_in near_address, far_address;
static long size, rounds;

static void put(int fd, char *datagram, const struct sockaddr_in *to, char mark)
{
	datagram[0] = datagram[size - 1] = mark;
	if (sendto(fd, datagram, size, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof *to) != size)
		die("sendto");
}

static void await(int fd, char *datagram, char mark)
{
	if (receive(fd, datagram, size + 1) != size || datagram[0] != mark || datagram[size - 1] != mark) {
		fprintf(stderr, "a wrong datagram\n");
		exit(1);
	}
}

static void echo(void)
{
	char *in = calloc(1, size + 1), *out = calloc(1, size);
	for (long i = 0; i < rounds; i++) {
		await(far, in, (char)(2 * i));
		put(far, out, &near_address, (char)(2 * i + 1));
	}
}

int main(int argc, char **argv)
{
	int cpu = argument(argc, argv, 1, 0), peer_cpu = argument(argc, argv, 2, 0);
	size = argument(argc, argv, 3, 1);
	long iterations = argument(argc, argv, 4, 1), warmup = argument(argc, argv, 5, 0);
	rounds = iterations + warmup;

	near = loopback_socket(&near_address);
	far = loopback_socket(&far_address);
	char *in = calloc(1, size + 1), *out = calloc(1, size);
	int64_t *samples = malloc(rounds * sizeof *samples);
	memset(samples, 0, rounds * sizeof *samples);
	child(peer_cpu, echo);
	pin(cpu);

	int64_t last = now_ns();
	for (long i = 0; i < rounds; i++) {
		put(near, out, &far_address, (char)(2 * i));
		await(near, in, (char)(2 * i + 1));
		int64_t now = now_ns();
		samples[i] = now - last;
		last = now;
	}
	report(samples + warmup, iterations);
	return 0;
}
