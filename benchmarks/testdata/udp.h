/* UDP sockets on the loopback interface. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static int loopback_socket(struct sockaddr_in *address)
{
	socklen_t bytes = sizeof *address;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), no_fragments = IP_PMTUDISC_DO;
	if (fd < 0)
		die("socket");
	memset(address, 0, bytes);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)address, bytes) != 0)
		die("bind");
	if (getsockname(fd, (struct sockaddr *)address, &bytes) != 0)
		die("getsockname");
	if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &no_fragments, sizeof no_fragments) != 0)
		die("setsockopt");
	return fd;
}

/* receive polls for the next datagram, or several with UDP_GRO. */
static long receive(int fd, void *buffer, size_t bytes)
{
	for (;;) {
		ssize_t n = recvfrom(fd, buffer, bytes, MSG_DONTWAIT, NULL, NULL);
		if (n >= 0)
			return n;
		if (errno != EAGAIN)
			die("recvfrom");
	}
}
