/* One process streams UDP datagrams to another one over the loopback interface,
 * with UDP_SEGMENT and UDP_GRO; the same as the test baseline-udp-bw.
 *
 * usage: baseline_udp_bw CPU PEER_CPU PAYLOAD OVERHEAD BATCH DATAGRAMS WARMUP
 *
 * PAYLOAD and OVERHEAD are bytes of each datagram, BATCH is how many of them the
 * kernel gets in one piece; a system call passes up to PIECES of these. The sender is a bounded number of datagrams ahead of the receiver. */
#include "measure.h"
#include "udp.h"
#include <netinet/udp.h>
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { PIECES = 4 };

static int near, far;
static struct sockaddr_in near_address, far_address;
static long wire, window, total;

static void option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof value) != 0)
		die("setsockopt");
}

static void link_to(int fd, const struct sockaddr_in *to)
{
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0)
		die("connect");
}

/* sink takes datagrams, and says now and then how many it has taken. */
static void sink(void)
{
	static char buffer[65536];
	uint64_t taken = 0, told = 0;
	while (taken < (uint64_t)total) {
		long n = receive(far, buffer, sizeof buffer);
		for (long at = 0; at < n; at += wire, taken++) {
			uint64_t number;
			memcpy(&number, buffer + at, sizeof number);
			if (number != taken || buffer[at + wire - 1] != (char)number) {
				fprintf(stderr, "datagram %llu where %llu was due\n", (unsigned long long)number, (unsigned long long)taken);
				exit(1);
			}
		}
		if (taken - told >= (uint64_t)window / 4 || taken == (uint64_t)total) {
			told = taken;
			if (send(far, &told, sizeof told, MSG_DONTWAIT) != sizeof told)
				die("send");
		}
	}
}

int main(int argc, char **argv)
{
	int cpu = argument(argc, argv, 1, 0), peer_cpu = argument(argc, argv, 2, 0);
	long payload = argument(argc, argv, 3, 1), overhead = argument(argc, argv, 4, 8);
	long batch = argument(argc, argv, 5, 1);
	long measured = argument(argc, argv, 6, 1), warmup = argument(argc, argv, 7, 0);
	wire = payload + overhead;
	total = warmup + measured;

	near = loopback_socket(&near_address);
	far = loopback_socket(&far_address);
	option(near, IPPROTO_UDP, UDP_SEGMENT, wire);
	option(far, IPPROTO_UDP, UDP_GRO, 1);
	option(far, SOL_SOCKET, SO_RCVBUF, 4 << 20);
	link_to(near, &far_address);
	link_to(far, &near_address);
	int granted;
	socklen_t bytes = sizeof granted;
	if (getsockopt(far, SOL_SOCKET, SO_RCVBUF, &granted, &bytes) != 0)
		die("getsockopt");
	window = granted / 2 / (wire + 1024);
	if (window < 2 * batch)
		window = 2 * batch;
	child(peer_cpu, sink);
	pin(cpu);

	char *buffer = calloc(PIECES * batch, wire);
	struct iovec parts[PIECES];
	struct mmsghdr pieces[PIECES];
	memset(pieces, 0, sizeof pieces);
	uint64_t sent = 0, taken = 0;
	int64_t start = now_ns();
	while (taken < (uint64_t)total) {
		unsigned n = 0;
		if (sent <= (uint64_t)warmup)
			start = now_ns(), measured = total - sent;
		for (; n < PIECES && sent < (uint64_t)total; n++) {
			long count = sent + batch > (uint64_t)total ? (long)(total - sent) : batch;
			char *piece = buffer + n * batch * wire;
			if (sent + count > taken + window)
				break;
			for (long i = 0; i < count; i++, sent++) {
				memcpy(piece + i * wire, &sent, sizeof sent);
				piece[(i + 1) * wire - 1] = (char)sent;
			}
			parts[n] = (struct iovec){piece, count * wire};
			pieces[n].msg_hdr.msg_iov = &parts[n];
			pieces[n].msg_hdr.msg_iovlen = 1;
		}
		if (n == 0) {
			if (receive(near, &taken, sizeof taken) != sizeof taken)
				die("credit");
		} else if (sendmmsg(near, pieces, n, MSG_DONTWAIT) != (int)n) {
			die("sendmmsg");
		}
	}
	double seconds = (now_ns() - start) / 1e9;
	printf("{\"bytes_per_s\":%.0f}\n", (double)payload * measured / seconds);
	return 0;
}
