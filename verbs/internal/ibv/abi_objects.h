// The objects of libibverbs.so.1 and what is handed to its functions by pointer.
// As abi_attributes.h; but of the objects, which the library allocates, only the
// leading fields that are in use here.
#ifndef IBV_ABI_OBJECTS_H
#define IBV_ABI_OBJECTS_H

#include <stddef.h>

#include "abi_attributes.h"

enum { ABI_CMD_POST_SEND = 28 };

struct abi_wc;
struct abi_cq;
struct abi_srq;
struct abi_qp;
struct abi_recv_wr;
struct abi_send_wr;

struct abi_device { // leading fields
	void *_ops[2];
	int node_type;
	int transport_type;
	char name[64];
};

// The functions that verbs.h calls inline are found here. The others are gaps,
// named by how many there are.
struct abi_context_ops {
	void *_gap1[11];
	int (*poll_cq)(struct abi_cq *cq, int num_entries, struct abi_wc *wc);
	int (*req_notify_cq)(struct abi_cq *cq, int solicited_only);
	void *_gap2[7];
	int (*post_srq_recv)(struct abi_srq *srq, struct abi_recv_wr *wr, struct abi_recv_wr **bad_wr);
	void *_gap3[4];
	int (*post_send)(struct abi_qp *qp, struct abi_send_wr *wr, struct abi_send_wr **bad_wr);
	int (*post_recv)(struct abi_qp *qp, struct abi_recv_wr *wr, struct abi_recv_wr **bad_wr);
	void *_gap4[5];
};

struct abi_context { // leading fields
	struct abi_device *device;
	struct abi_context_ops ops;
	int cmd_fd;
	int async_fd;
	int num_comp_vectors;
};

struct abi_pd { // leading fields
	struct abi_context *context;
};

struct abi_mr {
	struct abi_context *context;
	struct abi_pd *pd;
	void *addr;
	size_t length;
	uint32_t handle;
	uint32_t lkey;
	uint32_t rkey;
};

struct abi_comp_channel {
	struct abi_context *context;
	int fd;
	int refcnt;
};

struct abi_cq { // leading fields
	struct abi_context *context;
	struct abi_comp_channel *channel;
	void *cq_context;
	uint32_t handle;
	int cqe;
};

struct abi_srq { // leading fields
	struct abi_context *context;
	void *srq_context;
	struct abi_pd *pd;
};

struct abi_qp { // leading fields
	struct abi_context *context;
	void *qp_context;
	struct abi_pd *pd;
	struct abi_cq *send_cq;
	struct abi_cq *recv_cq;
	struct abi_srq *srq;
	uint32_t handle;
	uint32_t qp_num;
	uint32_t state;
	uint32_t qp_type;
};

struct abi_srq_init_attr {
	void *srq_context;
	struct abi_srq_attr attr;
};

struct abi_qp_init_attr {
	void *qp_context;
	struct abi_cq *send_cq;
	struct abi_cq *recv_cq;
	struct abi_srq *srq;
	struct abi_qp_cap cap;
	uint32_t qp_type;
	int sq_sig_all;
};

struct abi_async_event {
	union {
		struct abi_qp *qp;
		int port_num;
	} element;
	uint32_t event_type;
};

struct abi_sge {
	uint64_t addr;
	uint32_t length;
	uint32_t lkey;
};

struct abi_send_wr {
	uint64_t wr_id;
	struct abi_send_wr *next;
	struct abi_sge *sg_list;
	int num_sge;
	uint32_t opcode;
	unsigned int send_flags;
	uint32_t imm_data; // in network byte order
	union {
		struct {
			uint64_t remote_addr;
			uint32_t rkey;
		} rdma;
		struct {
			uint64_t remote_addr;
			uint64_t compare_add;
			uint64_t swap;
			uint32_t rkey;
		} atomic;
	} wr;
	struct {
		struct {
			uint32_t remote_srqn;
		} xrc;
	} qp_type;
	struct {
		void *mw;
		uint32_t rkey;
		struct {
			void *mr;
			uint64_t addr;
			uint64_t length;
			unsigned int mw_access_flags;
		} bind_info;
	} bind_mw;
};

struct abi_recv_wr {
	uint64_t wr_id;
	struct abi_recv_wr *next;
	struct abi_sge *sg_list;
	int num_sge;
};

// The kernel's command to post, of linux/rdma/ib_user_verbs.h, as it is written to
// the context's descriptor.
struct abi_doorbell {
	struct {
		uint32_t command;
		uint16_t in_words;
		uint16_t out_words;
	} header;
	struct {
		uint64_t response;
		uint32_t qp_handle;
		uint32_t wr_count;
		uint32_t sge_count;
		uint32_t wqe_size;
	} post;
};

#endif
