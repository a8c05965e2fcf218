/*
 * Call functions on leased cores of this machine or of others, from C, C++ and Fortran (rfaas.f90).
 *
 *     rfaas *cluster;  rfaas_pool *pool;  size_t n;
 *     rfaas_connect(NULL, &cluster);
 *     rfaas_order order = {.code = "functions.so", .workers = 2};
 *     rfaas_lease(cluster, &order, &pool);
 *     rfaas_invoke(pool, "sum", in, sizeof in, out, sizeof out, &n, RFAAS_FOREVER);
 *     rfaas_release(pool);
 *     rfaas_close(cluster);
 *
 * Functions return RFAAS_OK, or why not; rfaas_error() says it in words. Any thread may call them, at any
 * time, but for what is said about closing, and about one call. Times are in nanoseconds.
 *
 * The library has threads of its own, and handlers of signals that pass on what is not the library's.
 * After fork() it is of no use in the child, where functions return RFAAS_FORKED; a program that the child
 * executes may use it. MPI_Init may come before or after.
 */
#ifndef RFAAS_H
#define RFAAS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rfaas rfaas;           /* a connection to the agents that lease workers */
typedef struct rfaas_pool rfaas_pool; /* workers that are leased */
typedef struct rfaas_call rfaas_call; /* a call under way */

enum {
  RFAAS_OK = 0,
  /* What a worker answers, or what became of the call. */
  RFAAS_FUNCTION = 1,  /* the function failed: rfaas_call_code() has its code */
  RFAAS_CRASHED = 2,   /* it crashed, and with it its process, which is replaced */
  RFAAS_NOT_FOUND = 3, /* the code has no such function */
  RFAAS_TOO_LARGE = 4, /* the input, or the result for its room */
  RFAAS_BUSY = 5,
  RFAAS_DEADLINE = 6, /* the time was over; the function is ended */
  RFAAS_CANCELED = 7,
  RFAAS_REVOKED = 8, /* the worker was taken away */
  RFAAS_VERSION = 9, /* the worker is of another version */
  /* What this side finds. */
  RFAAS_LOST = 32,   /* a worker was lost, and with it the call */
  RFAAS_NO_WORKER,   /* none can be had */
  RFAAS_FULL,        /* too many calls wait for workers: wait for some */
  RFAAS_CLOSED,      /* the pool was released */
  RFAAS_UNFINISHED,  /* rfaas_test, rfaas_wait: the call goes on */
  RFAAS_INVALID,     /* a mistake of the caller */
  RFAAS_FORKED,      /* this process was forked off one that uses the library */
  RFAAS_FAILED       /* anything else */
};

#define RFAAS_FOREVER ((int64_t)-1)

/* Where to lease; what is NULL has a default. */
typedef struct rfaas_config {
  const char *transport;  /* URL, as `rfaas devices` lists them: $RFAAS_TRANSPORT, or "shm:" */
  const char *manager;    /* URL of a manager, which knows agents: $RFAAS_MANAGER */
  const char *agents;     /* addresses of agents instead, separated by commas: $RFAAS_AGENTS */
  const char *tenant;     /* who leases: $RFAAS_TENANT, or the user's name */
  const char *token_file; /* file with the token of this client: $RFAAS_TOKEN_FILE */
  const char *tls_ca;     /* file with the certificates of the authorities that sign servers', PEM: $RFAAS_TLS_CA, or the system's */
  int trust_network;      /* use RDMA devices although packets are neither encrypted nor authenticated: $RFAAS_TRUST_NETWORK=1 */
} rfaas_config;

/* What to lease; what is 0 has a default. */
typedef struct rfaas_order {
  const char *code;      /* file or folder: a package, a shared object, a WebAssembly module, a program; NULL: what agents have */
  int workers;           /* processes that execute calls, each one at a time: 1 */
  int at_least;          /* begin with so many if there are no more: workers */
  int cores;             /* of each worker: 1 */
  int64_t memory_bytes;  /* of each worker's code: what its package says */
  int64_t payload_bytes; /* inputs and results beyond 64 KiB, those of one worker together: none */
  const char *mode;      /* how both ends wait: "hot", "warm", "adaptive:TIME": "adaptive:50us" */
  int64_t timeout;       /* how long to wait for workers: a minute */
} rfaas_order;

/* Connects to a manager, which has to answer, or to agents, which need not be there yet. config may be NULL. */
int rfaas_connect(const rfaas_config *config, rfaas **cluster);

/* Closes a connection. Its pools are to be released before. NULL does nothing. */
void rfaas_close(rfaas *cluster);

/* Leases workers. The file with the code must not change until the pool is released. */
int rfaas_lease(rfaas *cluster, const rfaas_order *order, rfaas_pool **pool);

/* Gives the workers back. Calls under way end with RFAAS_CLOSED, and are still to be freed. NULL does nothing. */
void rfaas_release(rfaas_pool *pool);

/*
 * Allocates registered memory, zeroed and page-aligned, for inputs and results of calls through all
 * pools of the connection. What lies anywhere in it and is longer than 64 KiB is not copied: workers read
 * inputs from there, and results arrive there. Workers that such an input or result is of can read all of it.
 * It is freed by rfaas_dealloc, or with the connection.
 */
int rfaas_alloc(rfaas *cluster, size_t bytes, void **memory);

/* Frees what rfaas_alloc has allocated. No call may be using it. NULL does nothing. */
void rfaas_dealloc(rfaas *cluster, void *memory);

/*
 * Calls a function with in_bytes at in and waits for the result, of which there is room for room bytes at
 * out; result_bytes, unless NULL, gets its length. A call whose worker was lost is repeated if the code's
 * package says that it may be, and if it was not begun.
 */
int rfaas_invoke(rfaas_pool *pool, const char *function, const void *in, size_t in_bytes, void *out, size_t room,
                 size_t *result_bytes, int64_t timeout);

/*
 * Begins a call and does not wait. The memory at in and out is the library's until the call has ended. It is freed
 * by rfaas_free. Never waits for room: RFAAS_FULL.
 */
int rfaas_begin(rfaas_pool *pool, const char *function, const void *in, size_t in_bytes, void *out, size_t room,
                int64_t timeout, rfaas_call **call);

/* Says at once whether a call has ended: its outcome, or RFAAS_UNFINISHED. */
int rfaas_test(rfaas_call *call, size_t *result_bytes);

/* Waits for a call, so long at most: its outcome, or RFAAS_UNFINISHED. */
int rfaas_wait(rfaas_call *call, size_t *result_bytes, int64_t timeout);

/* Waits until one of several calls has ended, and says which: RFAAS_OK, or RFAAS_UNFINISHED. Those that are NULL are skipped. */
int rfaas_wait_any(rfaas_call *const *calls, size_t count, size_t *index, int64_t timeout);

/* Gives a call up. It ends soon, with RFAAS_CANCELED or as it would have. */
void rfaas_cancel(rfaas_call *call);

/* Frees a call; one that has not ended is given up, and waited for. No other thread may use it. NULL does nothing. */
void rfaas_free(rfaas_call *call);

/* Why the call failed; the text is valid until it is freed. */
const char *rfaas_call_error(const rfaas_call *call);

/* The code of an error of the function itself (RFAAS_FUNCTION). */
uint32_t rfaas_call_code(const rfaas_call *call);

/* One call of many. */
typedef struct rfaas_item {
  const void *in;
  size_t in_bytes;
  void *out;
  size_t room;
  size_t result_bytes; /* of the result */
  int status;          /* the outcome */
} rfaas_item;

/*
 * Calls a function with each of several inputs, on all workers of the pool, and waits for all. Returns
 * RFAAS_OK if all succeeded, or the outcome of the first that did not.
 */
int rfaas_invoke_many(rfaas_pool *pool, const char *function, rfaas_item *items, size_t count, int64_t timeout);

/* What the last function of the library that failed in this thread said; valid until the next one fails. */
const char *rfaas_error(void);

#ifdef __cplusplus
}
#endif
#endif
