//go:build cgo && linux

// The doorbell of a driver that has none: a system call.

#include <errno.h>
#include <unistd.h>

#include "shim_library.h"

int shim_ring(struct abi_qp *qp)
{
	uint32_t response[1];
	struct abi_doorbell bell = {
		.header = {.command = ABI_CMD_POST_SEND, .in_words = sizeof bell / 4, .out_words = sizeof response / 4},
		.post = {.response = (uintptr_t)response, .qp_handle = qp->handle, .wqe_size = sizeof(struct abi_send_wr)},
	};
	ssize_t n = write(qp->context->cmd_fd, &bell, sizeof bell);

	return n < 0 ? errno : n == sizeof bell ? 0 : EIO;
}
