// Compiled, not run, by a test: the structures of abi_attributes.h and
// abi_objects.h and its constants are those of verbs.h.
#include <stddef.h>

#include <infiniband/verbs.h>
#include <rdma/ib_user_verbs.h>

#include "../abi_objects.h"

#define CONSTANT(name) _Static_assert((int)ABI_##name == (int)IBV_##name, #name)
#define SIZE(name) _Static_assert(sizeof(struct abi_##name) == sizeof(struct ibv_##name), #name)
#define FIELD(name, field)                                                                                              \
	_Static_assert(offsetof(struct abi_##name, field) == offsetof(struct ibv_##name, field) &&                      \
			       sizeof(((struct abi_##name *)0)->field) == sizeof(((struct ibv_##name *)0)->field),      \
		       #name "." #field)

// Of the kernel's header; verbs.h has nothing like it.
#define IBV_CMD_POST_SEND IB_USER_VERBS_CMD_POST_SEND
struct ibv_doorbell {
	struct ib_uverbs_cmd_hdr header;
	struct ib_uverbs_post_send post;
};

CONSTANT(CMD_POST_SEND);
SIZE(doorbell);
FIELD(doorbell, header);
FIELD(doorbell, header.command);
FIELD(doorbell, header.in_words);
FIELD(doorbell, header.out_words);
FIELD(doorbell, post);
FIELD(doorbell, post.response);
FIELD(doorbell, post.qp_handle);
FIELD(doorbell, post.wr_count);
FIELD(doorbell, post.sge_count);
FIELD(doorbell, post.wqe_size);

CONSTANT(ACCESS_LOCAL_WRITE);
CONSTANT(MTU_256);
CONSTANT(MTU_512);
CONSTANT(MTU_1024);
CONSTANT(MTU_2048);
CONSTANT(MTU_4096);
CONSTANT(QPT_RC);
CONSTANT(QPS_INIT);
CONSTANT(QPS_RTR);
CONSTANT(QPS_RTS);
CONSTANT(QPS_ERR);
CONSTANT(QP_STATE);
CONSTANT(QP_ACCESS_FLAGS);
CONSTANT(QP_PKEY_INDEX);
CONSTANT(QP_PORT);
CONSTANT(QP_AV);
CONSTANT(QP_PATH_MTU);
CONSTANT(QP_TIMEOUT);
CONSTANT(QP_RETRY_CNT);
CONSTANT(QP_RNR_RETRY);
CONSTANT(QP_RQ_PSN);
CONSTANT(QP_MAX_QP_RD_ATOMIC);
CONSTANT(QP_MIN_RNR_TIMER);
CONSTANT(QP_SQ_PSN);
CONSTANT(QP_MAX_DEST_RD_ATOMIC);
CONSTANT(QP_CAP);
CONSTANT(QP_DEST_QPN);
CONSTANT(WR_RDMA_WRITE);
CONSTANT(WR_RDMA_WRITE_WITH_IMM);
CONSTANT(WR_SEND);
CONSTANT(WR_RDMA_READ);
CONSTANT(WR_ATOMIC_CMP_AND_SWP);
CONSTANT(WR_ATOMIC_FETCH_AND_ADD);
CONSTANT(SEND_FENCE);
CONSTANT(SEND_SIGNALED);
CONSTANT(SEND_SOLICITED);
CONSTANT(SEND_INLINE);
CONSTANT(EVENT_QP_FATAL);
CONSTANT(EVENT_QP_REQ_ERR);
CONSTANT(EVENT_QP_ACCESS_ERR);
CONSTANT(EVENT_COMM_EST);
CONSTANT(EVENT_SQ_DRAINED);
CONSTANT(EVENT_PATH_MIG);
CONSTANT(EVENT_PATH_MIG_ERR);
CONSTANT(EVENT_PORT_ACTIVE);
CONSTANT(EVENT_PORT_ERR);
CONSTANT(EVENT_LID_CHANGE);
CONSTANT(EVENT_PKEY_CHANGE);
CONSTANT(EVENT_SM_CHANGE);
CONSTANT(EVENT_QP_LAST_WQE_REACHED);
CONSTANT(EVENT_CLIENT_REREGISTER);
CONSTANT(EVENT_GID_CHANGE);

_Static_assert(sizeof(union abi_gid) == sizeof(union ibv_gid), "gid");
_Static_assert(_Alignof(union abi_gid) == _Alignof(union ibv_gid), "gid");

SIZE(device_attr);
FIELD(device_attr, fw_ver);
FIELD(device_attr, node_guid);
FIELD(device_attr, sys_image_guid);
FIELD(device_attr, max_mr_size);
FIELD(device_attr, page_size_cap);
FIELD(device_attr, vendor_id);
FIELD(device_attr, vendor_part_id);
FIELD(device_attr, hw_ver);
FIELD(device_attr, max_qp);
FIELD(device_attr, max_qp_wr);
FIELD(device_attr, device_cap_flags);
FIELD(device_attr, max_sge);
FIELD(device_attr, max_sge_rd);
FIELD(device_attr, max_cq);
FIELD(device_attr, max_cqe);
FIELD(device_attr, max_mr);
FIELD(device_attr, max_pd);
FIELD(device_attr, max_qp_rd_atom);
FIELD(device_attr, max_ee_rd_atom);
FIELD(device_attr, max_res_rd_atom);
FIELD(device_attr, max_qp_init_rd_atom);
FIELD(device_attr, max_ee_init_rd_atom);
FIELD(device_attr, atomic_cap);
FIELD(device_attr, max_ee);
FIELD(device_attr, max_rdd);
FIELD(device_attr, max_mw);
FIELD(device_attr, max_raw_ipv6_qp);
FIELD(device_attr, max_raw_ethy_qp);
FIELD(device_attr, max_mcast_grp);
FIELD(device_attr, max_mcast_qp_attach);
FIELD(device_attr, max_total_mcast_qp_attach);
FIELD(device_attr, max_ah);
FIELD(device_attr, max_fmr);
FIELD(device_attr, max_map_per_fmr);
FIELD(device_attr, max_srq);
FIELD(device_attr, max_srq_wr);
FIELD(device_attr, max_srq_sge);
FIELD(device_attr, max_pkeys);
FIELD(device_attr, local_ca_ack_delay);
FIELD(device_attr, phys_port_cnt);

SIZE(port_attr);
FIELD(port_attr, state);
FIELD(port_attr, max_mtu);
FIELD(port_attr, active_mtu);
FIELD(port_attr, gid_tbl_len);
FIELD(port_attr, port_cap_flags);
FIELD(port_attr, max_msg_sz);
FIELD(port_attr, bad_pkey_cntr);
FIELD(port_attr, qkey_viol_cntr);
FIELD(port_attr, pkey_tbl_len);
FIELD(port_attr, lid);
FIELD(port_attr, sm_lid);
FIELD(port_attr, lmc);
FIELD(port_attr, max_vl_num);
FIELD(port_attr, sm_sl);
FIELD(port_attr, subnet_timeout);
FIELD(port_attr, init_type_reply);
FIELD(port_attr, active_width);
FIELD(port_attr, active_speed);
FIELD(port_attr, phys_state);
FIELD(port_attr, link_layer);
FIELD(port_attr, flags);
FIELD(port_attr, port_cap_flags2);

SIZE(global_route);
FIELD(global_route, dgid);
FIELD(global_route, flow_label);
FIELD(global_route, sgid_index);
FIELD(global_route, hop_limit);
FIELD(global_route, traffic_class);

SIZE(ah_attr);
FIELD(ah_attr, grh);
FIELD(ah_attr, dlid);
FIELD(ah_attr, sl);
FIELD(ah_attr, src_path_bits);
FIELD(ah_attr, static_rate);
FIELD(ah_attr, is_global);
FIELD(ah_attr, port_num);

SIZE(qp_cap);
FIELD(qp_cap, max_send_wr);
FIELD(qp_cap, max_recv_wr);
FIELD(qp_cap, max_send_sge);
FIELD(qp_cap, max_recv_sge);
FIELD(qp_cap, max_inline_data);

SIZE(qp_attr);
FIELD(qp_attr, qp_state);
FIELD(qp_attr, cur_qp_state);
FIELD(qp_attr, path_mtu);
FIELD(qp_attr, path_mig_state);
FIELD(qp_attr, qkey);
FIELD(qp_attr, rq_psn);
FIELD(qp_attr, sq_psn);
FIELD(qp_attr, dest_qp_num);
FIELD(qp_attr, qp_access_flags);
FIELD(qp_attr, cap);
FIELD(qp_attr, ah_attr);
FIELD(qp_attr, alt_ah_attr);
FIELD(qp_attr, pkey_index);
FIELD(qp_attr, alt_pkey_index);
FIELD(qp_attr, en_sqd_async_notify);
FIELD(qp_attr, sq_draining);
FIELD(qp_attr, max_rd_atomic);
FIELD(qp_attr, max_dest_rd_atomic);
FIELD(qp_attr, min_rnr_timer);
FIELD(qp_attr, port_num);
FIELD(qp_attr, timeout);
FIELD(qp_attr, retry_cnt);
FIELD(qp_attr, rnr_retry);
FIELD(qp_attr, alt_port_num);
FIELD(qp_attr, alt_timeout);
FIELD(qp_attr, rate_limit);

SIZE(srq_attr);
FIELD(srq_attr, max_wr);
FIELD(srq_attr, max_sge);
FIELD(srq_attr, srq_limit);

SIZE(wc);
FIELD(wc, wr_id);
FIELD(wc, status);
FIELD(wc, opcode);
FIELD(wc, vendor_err);
FIELD(wc, byte_len);
FIELD(wc, imm_data);
FIELD(wc, qp_num);
FIELD(wc, src_qp);
FIELD(wc, wc_flags);
FIELD(wc, pkey_index);
FIELD(wc, slid);
FIELD(wc, sl);
FIELD(wc, dlid_path_bits);

// device: leading fields only
FIELD(device, _ops);
FIELD(device, node_type);
FIELD(device, transport_type);
FIELD(device, name);

SIZE(context_ops);
FIELD(context_ops, poll_cq);
FIELD(context_ops, req_notify_cq);
FIELD(context_ops, post_srq_recv);
FIELD(context_ops, post_send);
FIELD(context_ops, post_recv);

// context: leading fields only
FIELD(context, device);
FIELD(context, ops);
FIELD(context, cmd_fd);
FIELD(context, async_fd);
FIELD(context, num_comp_vectors);

// pd: leading fields only
FIELD(pd, context);

SIZE(mr);
FIELD(mr, context);
FIELD(mr, pd);
FIELD(mr, addr);
FIELD(mr, length);
FIELD(mr, handle);
FIELD(mr, lkey);
FIELD(mr, rkey);

SIZE(comp_channel);
FIELD(comp_channel, context);
FIELD(comp_channel, fd);
FIELD(comp_channel, refcnt);

// cq: leading fields only
FIELD(cq, context);
FIELD(cq, channel);
FIELD(cq, cq_context);
FIELD(cq, handle);
FIELD(cq, cqe);

// srq: leading fields only
FIELD(srq, context);
FIELD(srq, srq_context);
FIELD(srq, pd);

// qp: leading fields only
FIELD(qp, context);
FIELD(qp, qp_context);
FIELD(qp, pd);
FIELD(qp, send_cq);
FIELD(qp, recv_cq);
FIELD(qp, srq);
FIELD(qp, handle);
FIELD(qp, qp_num);
FIELD(qp, state);
FIELD(qp, qp_type);

SIZE(srq_init_attr);
FIELD(srq_init_attr, srq_context);
FIELD(srq_init_attr, attr);

SIZE(qp_init_attr);
FIELD(qp_init_attr, qp_context);
FIELD(qp_init_attr, send_cq);
FIELD(qp_init_attr, recv_cq);
FIELD(qp_init_attr, srq);
FIELD(qp_init_attr, cap);
FIELD(qp_init_attr, qp_type);
FIELD(qp_init_attr, sq_sig_all);

SIZE(async_event);
FIELD(async_event, element);
FIELD(async_event, element.qp);
FIELD(async_event, element.port_num);
FIELD(async_event, event_type);

SIZE(sge);
FIELD(sge, addr);
FIELD(sge, length);
FIELD(sge, lkey);

SIZE(send_wr);
FIELD(send_wr, wr_id);
FIELD(send_wr, next);
FIELD(send_wr, sg_list);
FIELD(send_wr, num_sge);
FIELD(send_wr, opcode);
FIELD(send_wr, send_flags);
FIELD(send_wr, imm_data);
FIELD(send_wr, wr);
FIELD(send_wr, wr.rdma.remote_addr);
FIELD(send_wr, wr.rdma.rkey);
FIELD(send_wr, wr.atomic.remote_addr);
FIELD(send_wr, wr.atomic.compare_add);
FIELD(send_wr, wr.atomic.swap);
FIELD(send_wr, wr.atomic.rkey);
FIELD(send_wr, qp_type);
FIELD(send_wr, bind_mw);

SIZE(recv_wr);
FIELD(recv_wr, wr_id);
FIELD(recv_wr, next);
FIELD(recv_wr, sg_list);
FIELD(recv_wr, num_sge);
