// Compiled, not run, by a test: the functions of shim_library.h have the
// parameters and results that they have in verbs.h.
#include <infiniband/verbs.h>

// verbs.h's own structures take the place of ours.
#define IBV_ABI_OBJECTS_H
#define IBV_SHIM_H
#define abi_device ibv_device
#define abi_device_attr ibv_device_attr
#define abi_port_attr _compat_ibv_port_attr // see shim_query_port
#define abi_gid ibv_gid
#define abi_context ibv_context
#define abi_async_event ibv_async_event
#define abi_pd ibv_pd
#define abi_mr ibv_mr
#define abi_comp_channel ibv_comp_channel
#define abi_cq ibv_cq
#define abi_srq ibv_srq
#define abi_srq_init_attr ibv_srq_init_attr
#define abi_qp ibv_qp
#define abi_qp_init_attr ibv_qp_init_attr
#define abi_qp_attr ibv_qp_attr
#define uint64_t __u64 // the same, but not to a compiler
#include "../shim_library.h"

#define CHECK(version, result, name, parameters) result(*check_##name) parameters = ibv_##name;
SHIM_CALLS(CHECK)
