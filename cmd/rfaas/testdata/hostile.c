/* Functions with the ABI of rFaaS that do what a function must not be able to do to
 * others. What a system call came to is the result, as a number in text. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint32_t say(void *res, long value) { return (uint32_t)sprintf(res, "%ld", value < 0 ? -(long)errno : value); }

uint32_t echo(void *args, uint32_t size, void *res)
{
	memcpy(res, args, size);
	return size;
}

uint32_t null(void *args, uint32_t size, void *res)
{
	*(volatile int *)0 = 1;
	return 0;
}

uint32_t give_up(void *args, uint32_t size, void *res) { abort(); }

uint32_t overflow(void *args, uint32_t size, void *res)
{
	volatile char big[1 << 16];
	big[0] = big[size] = 1;
	return overflow((void *)big, size, res) + big[0];
}

uint32_t fork_bomb(void *args, uint32_t size, void *res)
{
	for (int i = 0; i < 100000; i++) {
		pid_t child = fork();
		if (child == 0)
			for (;;)
				fork();
		if (child < 0)
			return say(res, -1);
	}
	return say(res, 0);
}

static void *idle(void *unused)
{
	for (;;)
		pause();
}

uint32_t thread_bomb(void *args, uint32_t size, void *res)
{
	pthread_attr_t attributes;
	long made = 0;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	for (; made < 100000; made++) {
		pthread_t thread;
		if ((errno = pthread_create(&thread, &attributes, idle, NULL)))
			return say(res, -1);
	}
	return say(res, made);
}

uint32_t memory_bomb(void *args, uint32_t size, void *res)
{
	for (;;) {
		char *mem = mmap(NULL, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (mem == MAP_FAILED)
			return say(res, -1);
	}
}

uint32_t loop(void *args, uint32_t size, void *res)
{
	for (;;)
		__asm__ volatile("");
}

uint32_t overrun(void *args, uint32_t size, void *res)
{
	memset(res, 1, 64 << 20);
	return 1;
}

uint32_t too_long(void *args, uint32_t size, void *res) { return UINT32_MAX; }

uint32_t close_all(void *args, uint32_t size, void *res)
{
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	return say(res, 0);
}

uint32_t shadow(void *args, uint32_t size, void *res) { return say(res, open("/etc/shadow", O_RDONLY)); }

uint32_t dial(void *args, uint32_t size, void *res)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return say(res, fd < 0 ? fd : connect(fd, (struct sockaddr *)&address, sizeof address));
}

uint32_t kill_parent(void *args, uint32_t size, void *res)
{
	pid_t parent = 0;
	memcpy(&parent, args, size < sizeof parent ? size : sizeof parent);
	if (kill(parent, SIGKILL) == 0)
		return say(res, 0);
	return say(res, kill(-1, SIGKILL));
}

uint32_t print(void *args, uint32_t size, void *res)
{
	static char line[1 << 16];
	memset(line, 'x', sizeof line);
	for (int i = 0; i < 256; i++)
		if (write(STDOUT_FILENO, line, sizeof line) < 0)
			return say(res, -1);
	return say(res, 0);
}

uint32_t leave(void *args, uint32_t size, void *res) { exit(7); }

/* Takes O_NONBLOCK from every descriptor that the process has, fills what counts, and
 * never returns. */
uint32_t blocking(void *args, uint32_t size, void *res)
{
	for (int fd = 3; fd < 256; fd++) {
		const uint64_t full = UINT64_MAX - 1;
		uint64_t was;
		char name[32], to[64] = "";
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0)
			continue;
		snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
		readlink(name, to, sizeof to - 1);
		if (strstr(to, "eventfd")) {
			fcntl(fd, F_SETFL, flags | O_NONBLOCK);
			read(fd, &was, sizeof was);
			write(fd, &full, sizeof full);
		}
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	}
	fprintf(stderr, "all is blocking\n");
	for (;;)
		pause();
}
