//go:build cgo && linux

// Posting and polling: the functions that verbs.h calls inline, through the
// context's table. A batch is one call from Go; it is translated on this stack,
// BATCH requests at a time.

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "shim_library.h"

enum { BATCH = 32 };

_Static_assert(sizeof(struct shim_request) == 64, "transport.WorkRequest is a cache line");

// The list of spans, without those that are empty.
static int add_span(struct abi_sge *sges, int n, uint64_t addr, uint32_t len, uint32_t lkey)
{
	if (!len)
		return n;
	sges[n] = (struct abi_sge){.addr = addr, .length = len, .lkey = lkey};
	return n + 1;
}

static int add_spans(struct abi_sge *sges, const struct shim_request *r)
{
	int n = add_span(sges, 0, r->local.addr, r->local.len, r->local.lkey);

	return add_span(sges, n, r->arg0, (uint32_t)r->arg1, (uint32_t)(r->arg1 >> 32));
}

static unsigned int send_flags(uint8_t flags)
{
	return (flags & SHIM_SIGNALED ? ABI_SEND_SIGNALED : 0) | (flags & SHIM_INLINE ? ABI_SEND_INLINE : 0) |
	       (flags & SHIM_FENCE ? ABI_SEND_FENCE : 0) | (flags & SHIM_SOLICITED ? ABI_SEND_SOLICITED : 0);
}

// Fills in all of wr but wr_id and next. 0 for an unknown operation.
static int translate(struct abi_send_wr *wr, struct abi_sge *sges, const struct shim_request *r)
{
	wr->sg_list = sges;
	wr->send_flags = send_flags(r->flags);
	wr->imm_data = 0;
	switch (r->op) {
	case SHIM_OP_SEND:
		wr->opcode = ABI_WR_SEND;
		wr->num_sge = add_spans(sges, r);
		return 1;
	case SHIM_OP_WRITE:
		wr->opcode = ABI_WR_RDMA_WRITE;
		break;
	case SHIM_OP_WRITE_IMM:
		wr->opcode = ABI_WR_RDMA_WRITE_WITH_IMM;
		wr->imm_data = htonl(r->imm);
		break;
	case SHIM_OP_READ:
		wr->opcode = ABI_WR_RDMA_READ;
		break;
	case SHIM_OP_FETCH_ADD:
	case SHIM_OP_COMPARE_SWAP:
		wr->opcode = r->op == SHIM_OP_FETCH_ADD ? ABI_WR_ATOMIC_FETCH_AND_ADD : ABI_WR_ATOMIC_CMP_AND_SWP;
		wr->num_sge = add_span(sges, 0, r->local.addr, r->local.len, r->local.lkey);
		wr->wr.atomic.remote_addr = r->remote_addr;
		wr->wr.atomic.compare_add = r->arg0;
		wr->wr.atomic.swap = r->op == SHIM_OP_FETCH_ADD ? 0 : r->arg1;
		wr->wr.atomic.rkey = r->rkey;
		return 1;
	default:
		return 0;
	}
	wr->num_sge = add_spans(sges, r);
	wr->wr.rdma.remote_addr = r->remote_addr;
	wr->wr.rdma.rkey = r->rkey;
	return 1;
}

// How many of the n requests that begin at first were taken, by what a device
// says was the first that it did not take. It names none if all are in its queue
// but notifying it failed: the device has them then.
static uint32_t accepted(const void *first, const void *bad, size_t size, uint32_t n)
{
	size_t before = (uintptr_t)bad - (uintptr_t)first;

	if (!bad)
		return n;
	return before < n * size ? before / size : 0;
}

struct shim_posted shim_post_send(struct abi_qp *qp, const struct shim_request *requests, uint32_t n, uint64_t first)
{
	struct abi_send_wr wrs[BATCH];
	struct abi_sge sges[BATCH][2];
	struct shim_posted posted = {0, 0};

	while (posted.accepted < n && !posted.error) {
		struct abi_send_wr *bad = NULL;
		int result, invalid = 0;
		uint32_t i;

		for (i = 0; i < BATCH && posted.accepted + i < n; i++) {
			if (!translate(&wrs[i], sges[i], &requests[posted.accepted + i])) {
				invalid = 1;
				break;
			}
			wrs[i].wr_id = first + posted.accepted + i;
			wrs[i].next = &wrs[i + 1];
		}
		if (i) {
			wrs[i - 1].next = NULL;
			errno = 0;
			result = qp->context->ops.post_send(qp, wrs, &bad);
			posted.error = error_of(result);
			posted.accepted += result ? accepted(wrs, bad, sizeof *wrs, i) : i;
		}
		if (invalid && !posted.error)
			posted.error = EINVAL;
	}
	return posted;
}

int shim_post_marker(struct abi_qp *qp, uint64_t wr_id)
{
	struct abi_send_wr *bad, wr = {.wr_id = wr_id, .opcode = ABI_WR_RDMA_WRITE, .send_flags = ABI_SEND_SIGNALED};

	errno = 0;
	return error_of(qp->context->ops.post_send(qp, &wr, &bad));
}

// The receives of a queue pair, or of srq if that is not NULL.
static struct shim_posted post_recv(struct abi_qp *qp, struct abi_srq *srq, const struct shim_request *requests, uint32_t n,
				    uint64_t first)
{
	struct abi_recv_wr wrs[BATCH];
	struct abi_sge sges[BATCH][2];
	struct shim_posted posted = {0, 0};

	while (posted.accepted < n && !posted.error) {
		struct abi_recv_wr *bad = NULL;
		int result;
		uint32_t i;

		for (i = 0; i < BATCH && posted.accepted + i < n; i++)
			wrs[i] = (struct abi_recv_wr){
				.wr_id = first + posted.accepted + i,
				.next = &wrs[i + 1],
				.sg_list = sges[i],
				.num_sge = add_spans(sges[i], &requests[posted.accepted + i]),
			};
		wrs[i - 1].next = NULL;
		errno = 0;
		result = srq ? srq->context->ops.post_srq_recv(srq, wrs, &bad) : qp->context->ops.post_recv(qp, wrs, &bad);
		posted.error = error_of(result);
		posted.accepted += result ? accepted(wrs, bad, sizeof *wrs, i) : i;
	}
	return posted;
}

struct shim_posted shim_post_recv(struct abi_qp *qp, const struct shim_request *requests, uint32_t n, uint64_t first)
{
	return post_recv(qp, NULL, requests, n, first);
}

struct shim_posted shim_post_srq_recv(struct abi_srq *srq, const struct shim_request *requests, uint32_t n, uint64_t first)
{
	return post_recv(NULL, srq, requests, n, first);
}

int shim_poll_cq(struct abi_cq *cq, int n, struct abi_wc *completions, uint32_t spins)
{
	int result;

	errno = 0;
	do
		result = cq->context->ops.poll_cq(cq, n, completions);
	while (!result && spins--);
	return result < 0 ? -error_of(result) : result;
}

int shim_req_notify_cq(struct abi_cq *cq, int solicited_only)
{
	errno = 0;
	return error_of(cq->context->ops.req_notify_cq(cq, solicited_only));
}
