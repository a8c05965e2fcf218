//go:build cgo && linux

// Devices, contexts and what is made from them.

#define _GNU_SOURCE // dladdr

#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "shim_library.h"

// An object with an unexpected layout is not NULL, but unusable.
static void *unknown_layout(void)
{
	errno = EPROTONOSUPPORT;
	return NULL;
}

int shim_fork_init(const struct shim_library *l)
{
	return error_of(l->fork_init());
}

const char *shim_event_type_str(const struct shim_library *l, uint32_t type)
{
	return l->event_type_str(type);
}

int shim_devices(const struct shim_library *l, struct shim_device *devices, int max)
{
	struct abi_device **list;
	int n = 0;

	errno = 0;
	list = l->get_device_list(&n);
	if (!list) // a kernel without InfiniBand says ENOSYS
		return errno == ENOSYS ? 0 : -(errno ? errno : EIO);
	for (int i = 0; i < n && i < max; i++) {
		const char *name = l->get_device_name(list[i]);

		if (strncmp(name, list[i]->name, sizeof list[i]->name)) {
			n = -EPROTONOSUPPORT;
			break;
		}
		snprintf(devices[i].name, sizeof devices[i].name, "%s", name);
		devices[i].guid = be64toh(l->get_device_guid(list[i]));
		devices[i].node_type = list[i]->node_type;
	}
	l->free_device_list(list);
	return n;
}

// Whether p is a function of a loaded library, as far as can be told.
static int is_function(void *p)
{
	Dl_info info;

	return p && dladdr(p, &info);
}

static int context_as_expected(const struct abi_context *c, const struct abi_device *device)
{
	return c->device == device &&
	       is_function((void *)c->ops.poll_cq) && is_function((void *)c->ops.req_notify_cq) &&
	       is_function((void *)c->ops.post_send) && is_function((void *)c->ops.post_recv) &&
	       (!c->ops.post_srq_recv || is_function((void *)c->ops.post_srq_recv)) && // not every device has it
	       c->cmd_fd != c->async_fd && fcntl(c->cmd_fd, F_GETFD) >= 0 && fcntl(c->async_fd, F_GETFD) >= 0 &&
	       c->num_comp_vectors >= 1 && c->num_comp_vectors < 1 << 16;
}

struct abi_context *shim_open_device(const struct shim_library *l, const char *name)
{
	struct abi_device **list, *device = NULL;
	struct abi_context *c = NULL;
	int n = 0, error;

	errno = 0;
	list = l->get_device_list(&n);
	if (!list)
		return NULL;
	for (int i = 0; i < n; i++)
		if (!strcmp(l->get_device_name(list[i]), name))
			device = list[i];
	errno = device ? 0 : ENODEV;
	if (device)
		c = l->open_device(device);
	error = errno;
	if (c && !context_as_expected(c, device)) {
		l->close_device(c);
		c = NULL;
		error = EPROTONOSUPPORT;
	}
	l->free_device_list(list);
	errno = error;
	return c;
}

int shim_close_device(const struct shim_library *l, struct abi_context *c)
{
	return error_of(l->close_device(c));
}

int shim_async_fd(struct abi_context *c)
{
	return c->async_fd;
}

int shim_query_device(const struct shim_library *l, struct abi_context *c, struct abi_device_attr *attr)
{
	return error_of(l->query_device(c, attr));
}

// The exported function knows a shorter structure, that of older programs: what
// it does not fill in has to be zero.
int shim_query_port(const struct shim_library *l, struct abi_context *c, uint8_t port, struct abi_port_attr *attr)
{
	memset(attr, 0, sizeof *attr);
	return error_of(l->query_port(c, port, attr));
}

int shim_query_gid(const struct shim_library *l, struct abi_context *c, uint8_t port, int index, union abi_gid *gid)
{
	errno = 0;
	return error_of(l->query_gid(c, port, index, gid));
}

int shim_async_event(const struct shim_library *l, struct abi_context *c, struct shim_event *event)
{
	struct abi_async_event e;

	errno = 0;
	if (l->get_async_event(c, &e))
		return errno ? errno : EIO;
	*event = (struct shim_event){.type = e.event_type};
	switch (e.event_type) {
	case ABI_EVENT_QP_FATAL:
	case ABI_EVENT_QP_REQ_ERR:
	case ABI_EVENT_QP_ACCESS_ERR:
	case ABI_EVENT_COMM_EST:
	case ABI_EVENT_SQ_DRAINED:
	case ABI_EVENT_PATH_MIG:
	case ABI_EVENT_PATH_MIG_ERR:
	case ABI_EVENT_QP_LAST_WQE_REACHED:
		// Its destruction waits for the acknowledgement; afterwards it may be gone.
		event->qpn = e.element.qp->qp_num;
		break;
	case ABI_EVENT_PORT_ACTIVE:
	case ABI_EVENT_PORT_ERR:
	case ABI_EVENT_LID_CHANGE:
	case ABI_EVENT_PKEY_CHANGE:
	case ABI_EVENT_SM_CHANGE:
	case ABI_EVENT_CLIENT_REREGISTER:
	case ABI_EVENT_GID_CHANGE:
		event->port = e.element.port_num;
		break;
	}
	l->ack_async_event(&e);
	return 0;
}

struct abi_pd *shim_alloc_pd(const struct shim_library *l, struct abi_context *c)
{
	struct abi_pd *pd;

	errno = 0;
	pd = l->alloc_pd(c);
	if (!pd)
		return NULL;
	if (pd->context != c) {
		l->dealloc_pd(pd);
		return unknown_layout();
	}
	return pd;
}

int shim_dealloc_pd(const struct shim_library *l, struct abi_pd *pd)
{
	return error_of(l->dealloc_pd(pd));
}

struct abi_mr *shim_reg_mr(const struct shim_library *l, struct abi_pd *pd, void *addr, size_t bytes, int access)
{
	struct abi_mr *mr;

	errno = 0;
	mr = l->reg_mr(pd, addr, bytes, access);
	if (!mr)
		return NULL;
	if (mr->context != pd->context || mr->pd != pd || mr->addr != addr || mr->length != bytes) {
		l->dereg_mr(mr);
		return unknown_layout();
	}
	return mr;
}

int shim_dereg_mr(const struct shim_library *l, struct abi_mr *mr)
{
	return error_of(l->dereg_mr(mr));
}

void shim_mr_keys(struct abi_mr *mr, uint32_t *lkey, uint32_t *rkey)
{
	*lkey = mr->lkey;
	*rkey = mr->rkey;
}

struct abi_comp_channel *shim_create_channel(const struct shim_library *l, struct abi_context *c)
{
	struct abi_comp_channel *ch;

	errno = 0;
	ch = l->create_comp_channel(c);
	if (!ch)
		return NULL;
	if (ch->context != c || fcntl(ch->fd, F_GETFD) < 0) {
		l->destroy_comp_channel(ch);
		return unknown_layout();
	}
	return ch;
}

int shim_destroy_channel(const struct shim_library *l, struct abi_comp_channel *ch)
{
	return error_of(l->destroy_comp_channel(ch));
}

int shim_channel_fd(struct abi_comp_channel *ch)
{
	return ch->fd;
}

int shim_cq_events(const struct shim_library *l, struct abi_comp_channel *ch)
{
	struct abi_cq *cq;
	void *cq_context;
	int n = 0;

	for (errno = 0; !l->get_cq_event(ch, &cq, &cq_context); errno = 0, n++)
		l->ack_cq_events(cq, 1);
	if (n)
		return 0; // an error other than EAGAIN comes again
	return errno ? errno : EIO;
}

struct abi_cq *shim_create_cq(const struct shim_library *l, struct abi_context *c, int depth, struct abi_comp_channel *ch)
{
	struct abi_cq *cq;

	errno = 0;
	cq = l->create_cq(c, depth, NULL, ch, 0);
	if (!cq)
		return NULL;
	if (cq->context != c || cq->channel != ch || cq->cqe < depth) {
		l->destroy_cq(cq);
		return unknown_layout();
	}
	return cq;
}

int shim_destroy_cq(const struct shim_library *l, struct abi_cq *cq)
{
	return error_of(l->destroy_cq(cq));
}

struct abi_srq *shim_create_srq(const struct shim_library *l, struct abi_pd *pd, struct abi_srq_attr *attr)
{
	struct abi_srq_init_attr init = {.attr = *attr};
	struct abi_srq *srq;

	errno = 0;
	srq = l->create_srq(pd, &init);
	if (!srq)
		return NULL;
	if (srq->context != pd->context || srq->pd != pd) {
		l->destroy_srq(srq);
		return unknown_layout();
	}
	*attr = init.attr;
	return srq;
}

int shim_destroy_srq(const struct shim_library *l, struct abi_srq *srq)
{
	return error_of(l->destroy_srq(srq));
}

struct abi_qp *shim_create_qp(const struct shim_library *l, struct abi_pd *pd, struct shim_qp_init *init)
{
	struct abi_qp_init_attr attr = {
		.send_cq = init->send_cq,
		.recv_cq = init->recv_cq,
		.srq = init->srq,
		.cap = init->cap,
		.qp_type = ABI_QPT_RC,
	};
	struct abi_qp *qp;

	errno = 0;
	qp = l->create_qp(pd, &attr);
	if (!qp)
		return NULL;
	if (qp->context != pd->context || qp->pd != pd || qp->send_cq != init->send_cq || qp->recv_cq != init->recv_cq ||
	    qp->srq != init->srq || qp->qp_type != ABI_QPT_RC) {
		l->destroy_qp(qp);
		return unknown_layout();
	}
	init->cap = attr.cap;
	return qp;
}

int shim_destroy_qp(const struct shim_library *l, struct abi_qp *qp)
{
	return error_of(l->destroy_qp(qp));
}

uint32_t shim_qp_num(struct abi_qp *qp)
{
	return qp->qp_num;
}

int shim_modify_qp(const struct shim_library *l, struct abi_qp *qp, struct abi_qp_attr *attr, int mask)
{
	return error_of(l->modify_qp(qp, attr, mask));
}

int shim_query_qp(const struct shim_library *l, struct abi_qp *qp, struct abi_qp_attr *attr, int mask)
{
	struct abi_qp_init_attr init;

	return error_of(l->query_qp(qp, attr, mask, &init));
}
