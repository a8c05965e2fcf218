// What the Go side calls: one C function per verbs call, and one per batch on
// the hot path. None of them calls back into Go or keeps a pointer into Go
// memory.
//
// Unless said otherwise, an int result is 0 or an errno, and a pointer result is
// NULL with errno set. EPROTONOSUPPORT means that an object which the library
// returned does not have the layout of abi_objects.h.
#ifndef IBV_SHIM_H
#define IBV_SHIM_H

#include <stddef.h>
#include <stdint.h>

// Complete for the C files of the shim only: cgo checks no pointers to incomplete types.
struct abi_context;
struct abi_pd;
struct abi_mr;
struct abi_comp_channel;
struct abi_cq;
struct abi_srq;
struct abi_qp;
struct abi_recv_wr;
struct abi_send_wr;

#include "abi_attributes.h"

// One libibverbs, loaded for the life of the process.
struct shim_library;

// transport.WorkRequest, field by field.
struct shim_span {
	uint64_t addr;
	uint32_t len;
	uint32_t lkey;
};

struct shim_request {
	uint64_t id; // the caller's own; wr_id is another
	struct shim_span local;
	uint64_t remote_addr;
	uint32_t remote_len;
	uint32_t rkey;
	uint64_t arg0, arg1; // operands of an atomic, or the second span's address and lkey<<32|len
	uint32_t imm;
	uint8_t op;    // enum shim_op
	uint8_t flags; // enum shim_flag
	uint8_t _gap[2];
};

// transport.Op.
enum shim_op {
	SHIM_OP_SEND = 1,
	SHIM_OP_WRITE = 2,
	SHIM_OP_WRITE_IMM = 3,
	SHIM_OP_READ = 4,
	SHIM_OP_FETCH_ADD = 5,
	SHIM_OP_COMPARE_SWAP = 6,
};

// transport.Flags.
enum shim_flag {
	SHIM_SIGNALED = 1,
	SHIM_INLINE = 2,
	SHIM_FENCE = 4,
	SHIM_SOLICITED = 8,
};

// How many requests of a batch the device took, and the errno of the first that
// it did not.
struct shim_posted {
	uint32_t accepted;
	int32_t error;
};

struct shim_device {
	char name[64];
	uint64_t guid; // in host byte order
	int32_t node_type;
};

struct shim_event {
	uint32_t type;
	uint32_t qpn;  // 0 if not about a queue pair
	int32_t port;  // 0 if not about a port
};

struct shim_qp_init {
	struct abi_cq *send_cq, *recv_cq;
	struct abi_srq *srq; // or NULL
	struct abi_qp_cap cap;
};

// shim_load opens the library, or returns NULL with the loader's words in why and
// in *missing whether it is the library itself that could not be opened.
struct shim_library *shim_load(const char *path, char *why, size_t why_bytes, int *missing);
int shim_fork_init(const struct shim_library *l);
const char *shim_event_type_str(const struct shim_library *l, uint32_t type);

// shim_devices stores up to max devices and returns how many there are, or a
// negated errno.
int shim_devices(const struct shim_library *l, struct shim_device *devices, int max);

struct abi_context *shim_open_device(const struct shim_library *l, const char *name);
int shim_close_device(const struct shim_library *l, struct abi_context *c);
int shim_async_fd(struct abi_context *c);
int shim_query_device(const struct shim_library *l, struct abi_context *c, struct abi_device_attr *attr);
int shim_query_port(const struct shim_library *l, struct abi_context *c, uint8_t port, struct abi_port_attr *attr);
int shim_query_gid(const struct shim_library *l, struct abi_context *c, uint8_t port, int index, union abi_gid *gid);
// shim_async_event takes and acknowledges the next event; EAGAIN if there is none.
int shim_async_event(const struct shim_library *l, struct abi_context *c, struct shim_event *event);

struct abi_pd *shim_alloc_pd(const struct shim_library *l, struct abi_context *c);
int shim_dealloc_pd(const struct shim_library *l, struct abi_pd *pd);
struct abi_mr *shim_reg_mr(const struct shim_library *l, struct abi_pd *pd, void *addr, size_t bytes, int access);
int shim_dereg_mr(const struct shim_library *l, struct abi_mr *mr);
void shim_mr_keys(struct abi_mr *mr, uint32_t *lkey, uint32_t *rkey);

struct abi_comp_channel *shim_create_channel(const struct shim_library *l, struct abi_context *c);
int shim_destroy_channel(const struct shim_library *l, struct abi_comp_channel *ch);
int shim_channel_fd(struct abi_comp_channel *ch);
// shim_cq_events takes and acknowledges all events there are; EAGAIN if none.
int shim_cq_events(const struct shim_library *l, struct abi_comp_channel *ch);

struct abi_cq *shim_create_cq(const struct shim_library *l, struct abi_context *c, int depth, struct abi_comp_channel *ch);
int shim_destroy_cq(const struct shim_library *l, struct abi_cq *cq);
int shim_req_notify_cq(struct abi_cq *cq, int solicited_only);

struct abi_srq *shim_create_srq(const struct shim_library *l, struct abi_pd *pd, struct abi_srq_attr *attr);
int shim_destroy_srq(const struct shim_library *l, struct abi_srq *srq);

// shim_create_qp stores into init->cap what was granted.
struct abi_qp *shim_create_qp(const struct shim_library *l, struct abi_pd *pd, struct shim_qp_init *init);
int shim_destroy_qp(const struct shim_library *l, struct abi_qp *qp);
uint32_t shim_qp_num(struct abi_qp *qp);
int shim_modify_qp(const struct shim_library *l, struct abi_qp *qp, struct abi_qp_attr *attr, int mask);
int shim_query_qp(const struct shim_library *l, struct abi_qp *qp, struct abi_qp_attr *attr, int mask);

// The hot path. Request i gets the wr_id first+i. EINVAL for an unknown operation.
struct shim_posted shim_post_send(struct abi_qp *qp, const struct shim_request *requests, uint32_t n, uint64_t first);
struct shim_posted shim_post_recv(struct abi_qp *qp, const struct shim_request *requests, uint32_t n, uint64_t first);
struct shim_posted shim_post_srq_recv(struct abi_srq *srq, const struct shim_request *requests, uint32_t n, uint64_t first);
int shim_post_marker(struct abi_qp *qp, uint64_t wr_id);
// shim_poll_cq polls up to 1+spins times while there is nothing, and returns how
// many completions it stored, or a negated errno.
int shim_poll_cq(struct abi_cq *cq, int n, struct abi_wc *completions, uint32_t spins);

// shim_ring tells the kernel to look at the send queue, as posting does for rxe.
int shim_ring(struct abi_qp *qp);

#endif
