// The functions of libibverbs.so.1 that are in use, found at run time.
#ifndef IBV_SHIM_LIBRARY_H
#define IBV_SHIM_LIBRARY_H

#include <errno.h>

#include "abi_objects.h"
#include "shim.h"

// Version, result, name without ibv_, parameters.
#define SHIM_CALLS(X)                                                                                                   \
	X("1.1", int, fork_init, (void))                                                                                \
	X("1.1", struct abi_device **, get_device_list, (int *n))                                                       \
	X("1.1", void, free_device_list, (struct abi_device **list))                                                    \
	X("1.1", const char *, get_device_name, (struct abi_device *device))                                            \
	X("1.1", uint64_t, get_device_guid, (struct abi_device *device))                                                \
	X("1.1", struct abi_context *, open_device, (struct abi_device *device))                                        \
	X("1.1", int, close_device, (struct abi_context *context))                                                      \
	X("1.1", int, query_device, (struct abi_context *context, struct abi_device_attr *attr))                        \
	X("1.1", int, query_port, (struct abi_context *context, uint8_t port, struct abi_port_attr *attr))              \
	X("1.1", int, query_gid, (struct abi_context *context, uint8_t port, int index, union abi_gid *gid))            \
	X("1.1", int, get_async_event, (struct abi_context *context, struct abi_async_event *event))                    \
	X("1.1", void, ack_async_event, (struct abi_async_event *event))                                                \
	X("1.1", const char *, event_type_str, (uint32_t type))                                                         \
	X("1.1", struct abi_pd *, alloc_pd, (struct abi_context *context))                                              \
	X("1.1", int, dealloc_pd, (struct abi_pd *pd))                                                                  \
	X("1.1", struct abi_mr *, reg_mr, (struct abi_pd *pd, void *addr, size_t length, int access))                   \
	X("1.1", int, dereg_mr, (struct abi_mr *mr))                                                                    \
	X("1.0", struct abi_comp_channel *, create_comp_channel, (struct abi_context *context))                         \
	X("1.0", int, destroy_comp_channel, (struct abi_comp_channel *channel))                                         \
	X("1.1", int, get_cq_event, (struct abi_comp_channel *channel, struct abi_cq **cq, void **cq_context))          \
	X("1.1", void, ack_cq_events, (struct abi_cq *cq, unsigned int n))                                              \
	X("1.1", struct abi_cq *, create_cq,                                                                            \
	  (struct abi_context *context, int cqe, void *cq_context, struct abi_comp_channel *channel, int vector))       \
	X("1.1", int, destroy_cq, (struct abi_cq *cq))                                                                  \
	X("1.1", struct abi_srq *, create_srq, (struct abi_pd *pd, struct abi_srq_init_attr *init))                     \
	X("1.1", int, destroy_srq, (struct abi_srq *srq))                                                               \
	X("1.1", struct abi_qp *, create_qp, (struct abi_pd *pd, struct abi_qp_init_attr *init))                        \
	X("1.1", int, modify_qp, (struct abi_qp *qp, struct abi_qp_attr *attr, int mask))                               \
	X("1.1", int, query_qp, (struct abi_qp *qp, struct abi_qp_attr *attr, int mask, struct abi_qp_init_attr *init)) \
	X("1.1", int, destroy_qp, (struct abi_qp *qp))

struct shim_library {
#define MEMBER(version, result, name, parameters) result (*name) parameters;
	SHIM_CALLS(MEMBER)
#undef MEMBER
};

// The documented result of most calls is an errno; some, and some drivers, return
// -1 and set errno instead, or return an errno negated.
static inline int error_of(int result)
{
	if (result == -1)
		return errno ? errno : EIO;
	return result < 0 ? -result : result;
}

#endif
