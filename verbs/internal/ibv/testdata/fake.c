// A libibverbs without devices, for tests: it writes down what it is asked, does
// what control says, and completes what is posted at once.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi_objects.h"

// Shared with the test, through a file beside this library; the test has the same
// structure.
struct control {
	// Set by the test.
	int32_t devices;     // how many there are: fake0, fake1, ...; negative: an errno
	int32_t fork_init;   // what ibv_fork_init returns
	int32_t fail_errno;
	char fail[32];       // the call that fails with fail_errno: returns NULL or the errno
	char scramble[32];   // the call whose result does not look as it should
	int32_t accept;      // this many requests of every post are taken, if not negative,
	int32_t refusal;     // and with the others this is returned,
	int32_t no_bad_wr;   // if 1 without saying which, if 2 with one that was not posted
	int32_t empty_polls; // this many polls find nothing
	int32_t quiet;       // nothing is written down
	// Told by the fake.
	int32_t polls;
	int32_t event_fd;    // takes struct raised
	uint32_t traced;     // bytes
	char trace[1 << 16];
};

struct raised { // an asynchronous event
	int32_t type;
	int32_t port; // else it is about the newest queue pair
};

static struct control *control;

__attribute__((constructor)) static void map_control(void)
{
	char path[PATH_MAX];
	Dl_info self;
	int fd;

	dladdr((void *)map_control, &self);
	snprintf(path, sizeof path, "%s.control", self.dli_fname);
	fd = open(path, O_RDWR | O_CLOEXEC);
	control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		abort();
	close(fd);
}

__attribute__((format(printf, 1, 2))) static void trace(const char *format, ...)
{
	va_list args;
	size_t room = sizeof control->trace - control->traced;
	int n;

	if (control->quiet)
		return;
	va_start(args, format);
	n = vsnprintf(control->trace + control->traced, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		abort();
	control->traced += n;
}

static int fails(const char *call)
{
	if (strcmp(control->fail, call))
		return 0;
	errno = control->fail_errno;
	return 1;
}

static int scrambled(const char *call)
{
	return !strcmp(control->scramble, call);
}

// The objects: what the ABI shows, and what else there is to it.
enum { MAX_DEVICES = 20, ROOM = 1024 };

static struct abi_device devices[MAX_DEVICES], nobody;
static struct abi_context elsewhere;

struct context {
	struct abi_context ibv;
	struct abi_qp *newest;
};

struct pd {
	struct abi_pd ibv;
	int users;
};

struct mr {
	struct abi_mr ibv;
	struct pd *pd;
};

struct cq {
	struct abi_cq ibv;
	int event_fd, armed;
	unsigned int head, tail;
	struct abi_wc completions[ROOM];
};

struct srq {
	struct abi_srq ibv;
	unsigned int head, tail;
	uint64_t receives[ROOM];
};

struct qp {
	struct abi_qp ibv;
	struct srq own; // receives
	struct abi_qp_attr attr;
};

struct channel {
	struct abi_comp_channel ibv;
	int event_fd;
};

static void make_pipe(int *read_end, int *write_end)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		abort();
	*read_end = fds[0];
	*write_end = fds[1];
}

int ibv_fork_init(void)
{
	return control->fork_init;
}

struct abi_device **ibv_get_device_list(int *n)
{
	struct abi_device **list;

	if (control->devices < 0) {
		errno = -control->devices;
		return NULL;
	}
	list = calloc(control->devices + 1, sizeof *list);
	for (int i = 0; i < control->devices; i++) {
		snprintf(devices[i].name, sizeof devices[i].name, "fake%d", i);
		devices[i].node_type = i == 1 ? 4 : 1;
		list[i] = &devices[i];
	}
	*n = control->devices;
	return list;
}

void ibv_free_device_list(struct abi_device **list)
{
	free(list);
}

const char *ibv_get_device_name(struct abi_device *device)
{
	return scrambled("ibv_get_device_name") ? "other" : device->name;
}

uint64_t ibv_get_device_guid(struct abi_device *device)
{
	return htobe64(0x0002c90300112200 + (device - devices));
}

static int poll_cq(struct abi_cq *ibv, int n, struct abi_wc *wc)
{
	struct cq *cq = (struct cq *)ibv;
	int got = 0;

	control->polls++;
	if (fails("poll_cq"))
		return -control->fail_errno;
	if (control->empty_polls) {
		control->empty_polls--;
		return 0;
	}
	while (got < n && cq->head != cq->tail)
		wc[got++] = cq->completions[cq->head++ % ROOM];
	return got;
}

static int req_notify_cq(struct abi_cq *ibv, int solicited_only)
{
	trace("req_notify_cq %d\n", solicited_only);
	((struct cq *)ibv)->armed = 1;
	if (fails("req_notify_cq"))
		return -1; // with errno, as some drivers do
	return 0;
}

static void complete(struct abi_cq *ibv, struct abi_wc wc)
{
	struct cq *cq = (struct cq *)ibv;

	if (cq->tail - cq->head == ROOM)
		cq->head++; // a benchmark that does not poll
	cq->completions[cq->tail++ % ROOM] = wc;
	if (cq->armed && cq->event_fd >= 0) {
		cq->armed = 0;
		if (write(cq->event_fd, &ibv, sizeof ibv) != sizeof ibv)
			abort();
	}
}

static uint32_t trace_spans(const struct abi_sge *sges, int n)
{
	uint32_t bytes = 0;

	for (int i = 0; i < n; i++) {
		trace(" [%#llx+%u lkey=%u]", (unsigned long long)sges[i].addr, sges[i].length, sges[i].lkey);
		bytes += sges[i].length;
	}
	return bytes;
}

static const char *const opcodes[] = {"RDMA_WRITE", "RDMA_WRITE_WITH_IMM", "SEND", "?", "RDMA_READ", "CMP_AND_SWP", "FETCH_AND_ADD"};
static const uint32_t completion_opcodes[] = {1, 1, 0, 0, 2, 3, 4};

static int post_send(struct abi_qp *ibv, struct abi_send_wr *wr, struct abi_send_wr **bad)
{
	struct qp *qp = (struct qp *)ibv;
	int taken = 0, result = 0;

	for (; wr; wr = wr->next) {
		const unsigned char *imm = (const unsigned char *)&wr->imm_data;
		int atomic = wr->opcode == ABI_WR_ATOMIC_CMP_AND_SWP || wr->opcode == ABI_WR_ATOMIC_FETCH_AND_ADD;
		struct abi_wc wc = {.wr_id = wr->wr_id, .vendor_err = 7, .qp_num = ibv->qp_num};

		if (control->accept >= 0 && taken++ >= control->accept) {
			if (control->no_bad_wr != 1) {
				*bad = control->no_bad_wr ? (void *)8 : wr;
				return control->refusal;
			}
			result = control->refusal;
		}
		if (wr->opcode > ABI_WR_ATOMIC_FETCH_AND_ADD)
			abort();
		trace("post_send %#x: %llu %s", ibv->qp_num, (unsigned long long)wr->wr_id, opcodes[wr->opcode]);
		wc.byte_len = trace_spans(wr->sg_list, wr->num_sge);
		if (wr->opcode == ABI_WR_RDMA_WRITE_WITH_IMM || wr->imm_data)
			trace(" imm=%02x%02x%02x%02x", imm[0], imm[1], imm[2], imm[3]);
		if (atomic)
			trace(" to %#llx rkey=%#x compare_add=%llu swap=%llu", (unsigned long long)wr->wr.atomic.remote_addr, wr->wr.atomic.rkey,
			      (unsigned long long)wr->wr.atomic.compare_add, (unsigned long long)wr->wr.atomic.swap);
		else if (wr->opcode != ABI_WR_SEND)
			trace(" to %#llx rkey=%#x", (unsigned long long)wr->wr.rdma.remote_addr, wr->wr.rdma.rkey);
		trace("%s%s%s%s%s\n", wr->send_flags & ABI_SEND_SIGNALED ? " signaled" : "", wr->send_flags & ABI_SEND_INLINE ? " inline" : "",
		      wr->send_flags & ABI_SEND_FENCE ? " fence" : "", wr->send_flags & ABI_SEND_SOLICITED ? " solicited" : "",
		      wr->send_flags & ~15 ? " and other flags" : "");
		wc.opcode = completion_opcodes[wr->opcode];
		if (ibv->state == ABI_QPS_ERR)
			wc.status = 5; // flushed
		if (wr->send_flags & ABI_SEND_SIGNALED)
			complete(ibv->send_cq, wc);
		if (wr->opcode == ABI_WR_RDMA_WRITE_WITH_IMM) {
			struct srq *receives = ibv->srq ? (struct srq *)ibv->srq : &qp->own;

			if (receives->head == receives->tail)
				continue;
			wc.wr_id = receives->receives[receives->head++ % ROOM];
			wc.opcode = 129;
			wc.wc_flags = 2;
			wc.imm_data = wr->imm_data;
			wc.src_qp = ibv->qp_num;
			complete(ibv->recv_cq, wc);
		}
	}
	return result;
}

static int post_receives(const char *call, uint32_t number, struct srq *srq, struct abi_recv_wr *wr, struct abi_recv_wr **bad)
{
	int taken = 0;

	for (; wr; wr = wr->next) {
		if (control->accept >= 0 && taken++ == control->accept) {
			*bad = wr;
			return control->refusal;
		}
		trace("%s %#x: %llu", call, number, (unsigned long long)wr->wr_id);
		trace_spans(wr->sg_list, wr->num_sge);
		trace("\n");
		srq->receives[srq->tail++ % ROOM] = wr->wr_id;
	}
	return 0;
}

static int post_recv(struct abi_qp *qp, struct abi_recv_wr *wr, struct abi_recv_wr **bad)
{
	return post_receives("post_recv", qp->qp_num, &((struct qp *)qp)->own, wr, bad);
}

static int post_srq_recv(struct abi_srq *srq, struct abi_recv_wr *wr, struct abi_recv_wr **bad)
{
	return post_receives("post_srq_recv", 0, (struct srq *)srq, wr, bad);
}

struct abi_context *ibv_open_device(struct abi_device *device)
{
	struct context *c;

	trace("open_device %s\n", device->name);
	if (fails("ibv_open_device"))
		return NULL;
	c = calloc(1, sizeof *c);
	c->ibv.device = scrambled("device") ? &nobody : device;
	c->ibv.ops.poll_cq = poll_cq;
	c->ibv.ops.req_notify_cq = req_notify_cq;
	c->ibv.ops.post_srq_recv = post_srq_recv;
	c->ibv.ops.post_send = post_send;
	c->ibv.ops.post_recv = post_recv;
	if (scrambled("poll_cq"))
		c->ibv.ops.poll_cq = (__typeof__(c->ibv.ops.poll_cq))3;
	if (scrambled("req_notify_cq"))
		c->ibv.ops.req_notify_cq = NULL;
	if (scrambled("post_srq_recv"))
		c->ibv.ops.post_srq_recv = (__typeof__(c->ibv.ops.post_srq_recv))3;
	if (scrambled("post_send"))
		c->ibv.ops.post_send = NULL;
	if (scrambled("post_recv"))
		c->ibv.ops.post_recv = NULL;
	c->ibv.cmd_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	make_pipe(&c->ibv.async_fd, &control->event_fd);
	c->ibv.num_comp_vectors = scrambled("num_comp_vectors") ? 0 : 1;
	if (scrambled("cmd_fd"))
		c->ibv.cmd_fd = -1;
	if (scrambled("async_fd"))
		c->ibv.async_fd = 1 << 20;
	return &c->ibv;
}

int ibv_close_device(struct abi_context *c)
{
	trace("close_device\n");
	if (fails("ibv_close_device"))
		return -1;
	close(c->cmd_fd);
	close(c->async_fd);
	free(c);
	return 0;
}

int current_query_device(struct abi_context *c, struct abi_device_attr *attr)
{
	(void)c;
	*attr = (struct abi_device_attr){
		.fw_ver = "1.2.3", .node_guid = 1, .sys_image_guid = 2, .max_mr_size = 1ull << 40, .page_size_cap = 4, .vendor_id = 5,
		.vendor_part_id = 6, .hw_ver = 7, .max_qp = 8, .max_qp_wr = 9, .device_cap_flags = 10, .max_sge = 11, .max_sge_rd = 12,
		.max_cq = 13, .max_cqe = 14, .max_mr = 15, .max_pd = 16, .max_qp_rd_atom = 17, .max_ee_rd_atom = 18,
		.max_res_rd_atom = 19, .max_qp_init_rd_atom = 20, .max_ee_init_rd_atom = 21, .atomic_cap = 2, .max_ee = 22,
		.max_srq = 23, .max_srq_wr = 24, .max_srq_sge = 25, .max_pkeys = 26, .local_ca_ack_delay = 27, .phys_port_cnt = 28,
	};
	return fails("ibv_query_device") ? control->fail_errno : 0;
}

int ibv_query_port(struct abi_context *c, uint8_t port, struct abi_port_attr *attr)
{
	(void)c;
	if (port != 1)
		return EINVAL;
	attr->state = 4;
	attr->max_mtu = 5;
	attr->active_mtu = 3;
	attr->gid_tbl_len = 4;
	attr->max_msg_sz = 1u << 31;
	attr->lid = 0x1234;
	attr->phys_state = 5;
	attr->link_layer = 2;
	return 0;
}

int ibv_query_gid(struct abi_context *c, uint8_t port, int index, union abi_gid *gid)
{
	static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 9, 0, 1};

	(void)c;
	if (fails("ibv_query_gid") && index == 3)
		return -1;
	memset(gid, 0, sizeof *gid);
	if (port == 1 && index == 0) {
		gid->raw[0] = 0xfe;
		gid->raw[1] = 0x80;
		gid->raw[15] = 1;
	} else if (port == 1 && index == 2)
		memcpy(gid, mapped, sizeof *gid);
	return 0;
}

int ibv_get_async_event(struct abi_context *c, struct abi_async_event *event)
{
	struct raised raised;

	if (read(c->async_fd, &raised, sizeof raised) != sizeof raised)
		return -1;
	memset(event, 0, sizeof *event);
	event->event_type = raised.type;
	if (raised.port)
		event->element.port_num = raised.port;
	else
		event->element.qp = ((struct context *)c)->newest;
	return 0;
}

// After it, the queue pair may be destroyed: its number is no more.
void ibv_ack_async_event(struct abi_async_event *event)
{
	trace("ack_async_event %u\n", event->event_type);
	if (event->event_type == ABI_EVENT_QP_FATAL)
		event->element.qp->qp_num = 0xdead;
}

const char *ibv_event_type_str(uint32_t type)
{
	return type < 20 ? "an event" : NULL;
}

struct abi_pd *ibv_alloc_pd(struct abi_context *c)
{
	struct pd *pd;

	if (fails("ibv_alloc_pd"))
		return NULL;
	pd = calloc(1, sizeof *pd);
	pd->ibv.context = scrambled("ibv_alloc_pd") ? &elsewhere : c;
	return &pd->ibv;
}

int ibv_dealloc_pd(struct abi_pd *pd)
{
	trace("dealloc_pd\n");
	if (((struct pd *)pd)->users)
		return EBUSY;
	free(pd);
	return 0;
}

struct abi_mr *ibv_reg_mr(struct abi_pd *pd, void *addr, size_t length, int access)
{
	static uint32_t number;
	struct mr *mr;

	trace("reg_mr %zu bytes access=%d\n", length, access);
	if (fails("ibv_reg_mr"))
		return NULL;
	mr = calloc(1, sizeof *mr);
	mr->ibv = (struct abi_mr){.context = pd->context, .pd = pd, .addr = addr, .length = length, .lkey = 0x1000 + ++number, .rkey = 0x2000 + number};
	if (scrambled("mr.addr"))
		mr->ibv.addr = NULL;
	if (scrambled("mr.length"))
		mr->ibv.length = 0;
	if (scrambled("mr.pd"))
		mr->ibv.pd = NULL;
	if (scrambled("mr.context"))
		mr->ibv.context = NULL;
	mr->pd = (struct pd *)pd;
	mr->pd->users++;
	return &mr->ibv;
}

int ibv_dereg_mr(struct abi_mr *mr)
{
	trace("dereg_mr\n");
	if (fails("ibv_dereg_mr"))
		return control->fail_errno;
	((struct mr *)mr)->pd->users--;
	free(mr);
	return 0;
}

struct abi_comp_channel *ibv_create_comp_channel(struct abi_context *c)
{
	struct channel *ch;

	if (fails("ibv_create_comp_channel"))
		return NULL;
	ch = calloc(1, sizeof *ch);
	ch->ibv.context = c;
	make_pipe(&ch->ibv.fd, &ch->event_fd);
	if (scrambled("channel.context"))
		ch->ibv.context = &elsewhere;
	if (scrambled("channel.fd"))
		ch->ibv.fd = -1;
	return &ch->ibv;
}

int ibv_destroy_comp_channel(struct abi_comp_channel *ch)
{
	trace("destroy_comp_channel\n");
	if (ch->refcnt)
		return EBUSY;
	close(ch->fd);
	close(((struct channel *)ch)->event_fd);
	free(ch);
	return 0;
}

int ibv_get_cq_event(struct abi_comp_channel *ch, struct abi_cq **cq, void **cq_context)
{
	if (fails("ibv_get_cq_event"))
		return -1;
	if (read(ch->fd, cq, sizeof *cq) != sizeof *cq)
		return -1;
	*cq_context = (*cq)->cq_context;
	return 0;
}

void ibv_ack_cq_events(struct abi_cq *cq, unsigned int n)
{
	(void)cq;
	trace("ack_cq_events %u\n", n);
}

struct abi_cq *ibv_create_cq(struct abi_context *c, int cqe, void *cq_context, struct abi_comp_channel *ch, int vector)
{
	struct cq *cq;

	trace("create_cq %d%s vector=%d\n", cqe, ch ? " with a channel" : "", vector);
	if (fails("ibv_create_cq"))
		return NULL;
	cq = calloc(1, sizeof *cq);
	cq->ibv = (struct abi_cq){.context = c, .channel = ch, .cq_context = cq_context, .cqe = cqe + 3};
	cq->event_fd = ch ? ((struct channel *)ch)->event_fd : -1;
	if (ch)
		ch->refcnt++;
	if (scrambled("cq.context"))
		cq->ibv.context = &elsewhere;
	if (scrambled("cq.channel"))
		cq->ibv.channel = (void *)8;
	if (scrambled("cq.cqe"))
		cq->ibv.cqe = cqe - 1;
	return &cq->ibv;
}

int ibv_destroy_cq(struct abi_cq *cq)
{
	trace("destroy_cq\n");
	if (fails("ibv_destroy_cq"))
		return control->fail_errno;
	if (cq->channel && !scrambled("cq.channel"))
		cq->channel->refcnt--;
	free(cq);
	return 0;
}

struct abi_srq *ibv_create_srq(struct abi_pd *pd, struct abi_srq_init_attr *init)
{
	struct srq *srq;

	trace("create_srq max_wr=%u max_sge=%u srq_limit=%u\n", init->attr.max_wr, init->attr.max_sge, init->attr.srq_limit);
	if (fails("ibv_create_srq"))
		return NULL;
	init->attr.max_wr += 5;
	srq = calloc(1, sizeof *srq);
	srq->ibv = (struct abi_srq){.context = pd->context, .pd = pd};
	if (scrambled("srq.context"))
		srq->ibv.context = &elsewhere;
	if (scrambled("srq.pd"))
		srq->ibv.pd = NULL;
	return &srq->ibv;
}

int ibv_destroy_srq(struct abi_srq *srq)
{
	trace("destroy_srq\n");
	if (fails("ibv_destroy_srq"))
		return control->fail_errno;
	free(srq);
	return 0;
}

struct abi_qp *ibv_create_qp(struct abi_pd *pd, struct abi_qp_init_attr *init)
{
	static uint32_t number = 0x100;
	struct qp *qp;

	trace("create_qp type=%u sq_sig_all=%d%s max_send_wr=%u max_recv_wr=%u max_send_sge=%u max_recv_sge=%u max_inline_data=%u\n",
	      init->qp_type, init->sq_sig_all, init->srq ? " srq" : "", init->cap.max_send_wr, init->cap.max_recv_wr,
	      init->cap.max_send_sge, init->cap.max_recv_sge, init->cap.max_inline_data);
	if (fails("ibv_create_qp"))
		return NULL;
	init->cap.max_send_wr += 1;
	init->cap.max_recv_wr += 2;
	init->cap.max_inline_data += 4;
	qp = calloc(1, sizeof *qp);
	qp->ibv = (struct abi_qp){
		.context = pd->context, .pd = pd, .send_cq = init->send_cq, .recv_cq = init->recv_cq, .srq = init->srq,
		.qp_num = number++, .qp_type = init->qp_type,
	};
	((struct context *)pd->context)->newest = &qp->ibv;
	if (scrambled("qp.context"))
		qp->ibv.context = &elsewhere;
	if (scrambled("qp.pd"))
		qp->ibv.pd = NULL;
	if (scrambled("qp.send_cq"))
		qp->ibv.send_cq = NULL;
	if (scrambled("qp.recv_cq"))
		qp->ibv.recv_cq = NULL;
	if (scrambled("qp.srq"))
		qp->ibv.srq = (void *)8;
	if (scrambled("qp.qp_type"))
		qp->ibv.qp_type = 3;
	return &qp->ibv;
}

int ibv_destroy_qp(struct abi_qp *qp)
{
	trace("destroy_qp\n");
	if (fails("ibv_destroy_qp"))
		return control->fail_errno;
	free(qp);
	return 0;
}

int ibv_modify_qp(struct abi_qp *ibv, struct abi_qp_attr *a, int mask)
{
	struct qp *qp = (struct qp *)ibv;
	struct abi_qp_attr *to = &qp->attr;
	int rest = mask;

#define TAKE(bit, name, field)                                                                                          \
	if (mask & ABI_QP_##bit) {                                                                                      \
		trace(" " name "=%u", (unsigned int)a->field);                                                          \
		to->field = a->field;                                                                                   \
		rest &= ~ABI_QP_##bit;                                                                                  \
	}
	trace("modify_qp %#x", ibv->qp_num);
	TAKE(STATE, "state", qp_state)
	TAKE(PKEY_INDEX, "pkey_index", pkey_index)
	TAKE(PORT, "port", port_num)
	TAKE(ACCESS_FLAGS, "access", qp_access_flags)
	TAKE(PATH_MTU, "mtu", path_mtu)
	TAKE(DEST_QPN, "dest", dest_qp_num)
	TAKE(RQ_PSN, "rq_psn", rq_psn)
	TAKE(MAX_DEST_RD_ATOMIC, "max_dest_rd_atomic", max_dest_rd_atomic)
	TAKE(MIN_RNR_TIMER, "min_rnr_timer", min_rnr_timer)
	TAKE(TIMEOUT, "timeout", timeout)
	TAKE(RETRY_CNT, "retry_cnt", retry_cnt)
	TAKE(RNR_RETRY, "rnr_retry", rnr_retry)
	TAKE(SQ_PSN, "sq_psn", sq_psn)
	TAKE(MAX_QP_RD_ATOMIC, "max_rd_atomic", max_rd_atomic)
	if (mask & ABI_QP_AV) {
		const struct abi_ah_attr *ah = &a->ah_attr;

		trace(" av: dlid=%u sl=%u port=%u", ah->dlid, ah->sl, ah->port_num);
		if (ah->is_global) {
			trace(" dgid=");
			for (int i = 0; i < 16; i++)
				trace("%02x", ah->grh.dgid.raw[i]);
			trace(" sgid_index=%u hop_limit=%u traffic_class=%u flow_label=%u", ah->grh.sgid_index, ah->grh.hop_limit,
			      ah->grh.traffic_class, ah->grh.flow_label);
		}
		to->ah_attr = *ah;
		rest &= ~ABI_QP_AV;
	}
	trace("%s\n", rest ? " and other fields" : "");
	if (mask & ABI_QP_STATE)
		ibv->state = a->qp_state;
	if (fails("ibv_modify_qp"))
		return control->fail_errno;
	return 0;
}

int ibv_query_qp(struct abi_qp *qp, struct abi_qp_attr *attr, int mask, struct abi_qp_init_attr *init)
{
	(void)mask;
	memset(init, 0xff, sizeof *init); // as much as the library may store there
	*attr = ((struct qp *)qp)->attr;
	return fails("ibv_query_qp") ? control->fail_errno : 0;
}

// A version to come, with another layout: who asks for the name without a version
// gets this one.
int future_query_device(struct abi_context *c, struct abi_device_attr *attr)
{
	(void)c, (void)attr;
	return ENOTSUP;
}
__asm__(".symver current_query_device,ibv_query_device@IBVERBS_1.1");
__asm__(".symver future_query_device,ibv_query_device@@IBVERBS_2.0");
