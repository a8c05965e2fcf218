// The interface in C: it checks, waits and says what went wrong. What it asks the other half is in Go.
#define _GNU_SOURCE
#include "shim.h"
#include "_cgo_export.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct rfaas {
  uintptr_t handle;
};

struct rfaas_pool {
  uintptr_t handle;
};

uint32_t ended_calls, waiters;

static int forked;
static _Thread_local char error_text[1024];

static void note_fork(void) { forked = 1; }

__attribute__((constructor)) static void begin(void) { pthread_atfork(NULL, NULL, note_fork); }

// fail notes a text, which is freed, and returns the status.
static int fail(int status, char *why) {
  if (status != RFAAS_OK)
    snprintf(error_text, sizeof error_text, "%s", why ? why : "it is out of memory");
  free(why);
  return status;
}

static int mistake(const char *what) {
  snprintf(error_text, sizeof error_text, "%s", what);
  return RFAAS_INVALID;
}

static int is_forked(void) {
  if (forked)
    snprintf(error_text, sizeof error_text, "this process was forked off one that uses the library, which goes on only there; a program that it executes can use the library");
  return forked;
}

const char *rfaas_error(void) { return error_text; }

int rfaas_connect(const rfaas_config *config, rfaas **cluster) {
  static const rfaas_config defaults;
  char *why = NULL;
  if (is_forked())
    return RFAAS_FORKED;
  if (!cluster)
    return mistake("rfaas_connect: cluster is NULL");
  if (!(*cluster = calloc(1, sizeof **cluster)))
    return fail(RFAAS_FAILED, NULL);
  int status = goConnect((rfaas_config *)(config ? config : &defaults), &(*cluster)->handle, &why);
  if (status != RFAAS_OK) {
    free(*cluster);
    *cluster = NULL;
  }
  return fail(status, why);
}

void rfaas_close(rfaas *cluster) {
  if (cluster && !forked)
    goClose(cluster->handle);
  free(cluster);
}

int rfaas_lease(rfaas *cluster, const rfaas_order *order, rfaas_pool **pool) {
  static const rfaas_order defaults;
  char *why = NULL;
  if (is_forked())
    return RFAAS_FORKED;
  if (!cluster || !pool)
    return mistake("rfaas_lease: cluster or pool is NULL");
  if (!(*pool = calloc(1, sizeof **pool)))
    return fail(RFAAS_FAILED, NULL);
  int status = goLease(cluster->handle, (rfaas_order *)(order ? order : &defaults), &(*pool)->handle, &why);
  if (status != RFAAS_OK) {
    free(*pool);
    *pool = NULL;
  }
  return fail(status, why);
}

void rfaas_release(rfaas_pool *pool) {
  if (pool && !forked)
    goRelease(pool->handle);
  free(pool);
}

int rfaas_alloc(rfaas *cluster, size_t bytes, void **memory) {
  char *why = NULL;
  if (is_forked())
    return RFAAS_FORKED;
  if (!cluster || !memory)
    return mistake("rfaas_alloc: cluster or memory is NULL");
  *memory = NULL;
  int status = goAlloc(cluster->handle, bytes, memory, &why);
  return fail(status, why);
}

void rfaas_dealloc(rfaas *cluster, void *memory) {
  if (cluster && memory && !forked)
    goDealloc(cluster->handle, memory);
}

int rfaas_invoke(rfaas_pool *pool, const char *function, const void *in, size_t in_bytes, void *out, size_t room,
                 size_t *result_bytes, int64_t timeout) {
  char *why = NULL;
  size_t n = 0;
  if (is_forked())
    return RFAAS_FORKED;
  if (!pool || !function || (!in && in_bytes) || (!out && room))
    return mistake("rfaas_invoke: pool, function, in or out is NULL");
  int status = goInvoke(pool->handle, (char *)function, (void *)in, in_bytes, out, room, &n, timeout, &why);
  if (result_bytes)
    *result_bytes = n;
  return status == RFAAS_OK ? status : fail(status, why);
}

int rfaas_begin(rfaas_pool *pool, const char *function, const void *in, size_t in_bytes, void *out, size_t room,
                int64_t timeout, rfaas_call **call) {
  char *why = NULL;
  if (is_forked())
    return RFAAS_FORKED;
  if (!pool || !function || !call || (!in && in_bytes) || (!out && room))
    return mistake("rfaas_begin: pool, function, in, out or call is NULL");
  rfaas_call *c = *call = calloc(1, sizeof **call);
  if (!c)
    return fail(RFAAS_FAILED, NULL);
  c->pool = pool->handle;
  int status = goBegin(pool->handle, (char *)function, (void *)in, in_bytes, out, room, timeout, c, &why);
  if (status != RFAAS_OK) {
    free(c);
    *call = NULL;
  }
  return fail(status, why);
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

// sleep_on sleeps while a word has a value, and until a time, or for ever if that is negative.
static void sleep_on(uint32_t *word, uint32_t value, int64_t until) {
  struct timespec t = {until / 1000000000, until % 1000000000};
  syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, until < 0 ? NULL : &t, NULL, FUTEX_BITSET_MATCH_ANY);
}

static uint32_t state_of(const rfaas_call *call) { return __atomic_load_n(&call->state, __ATOMIC_ACQUIRE); }

// outcome is that of a call that has ended.
static int outcome(const rfaas_call *call, size_t *result_bytes) {
  if (result_bytes)
    *result_bytes = call->bytes;
  if (call->status != RFAAS_OK)
    snprintf(error_text, sizeof error_text, "%s", rfaas_call_error(call));
  return call->status;
}

static int64_t deadline(int64_t timeout) {
  if (timeout < 0)
    return -1;
  int64_t begin = now();
  return timeout > INT64_MAX - begin ? -1 : begin + timeout;
}

int rfaas_test(rfaas_call *call, size_t *result_bytes) { return rfaas_wait(call, result_bytes, 0); }

int rfaas_wait(rfaas_call *call, size_t *result_bytes, int64_t timeout) {
  if (is_forked())
    return RFAAS_FORKED;
  if (!call)
    return mistake("rfaas_wait: call is NULL");
  if (state_of(call) == CALL_HAS_ENDED)
    return outcome(call, result_bytes);
  if (timeout == 0)
    return RFAAS_UNFINISHED;
  for (int64_t until = deadline(timeout);;) {
    uint32_t runs = CALL_RUNS;
    __atomic_compare_exchange_n(&call->state, &runs, CALL_IS_AWAITED, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    sleep_on(&call->state, CALL_IS_AWAITED, until);
    if (state_of(call) == CALL_HAS_ENDED)
      return outcome(call, result_bytes);
    if (until >= 0 && now() >= until)
      return RFAAS_UNFINISHED;
  }
}

// find looks for a call that has ended.
static int find(rfaas_call *const *calls, size_t count, size_t *index) {
  for (size_t i = 0; i < count; i++)
    if (calls[i] && state_of(calls[i]) == CALL_HAS_ENDED) {
      *index = i;
      return RFAAS_OK;
    }
  return RFAAS_UNFINISHED;
}

int rfaas_wait_any(rfaas_call *const *calls, size_t count, size_t *index, int64_t timeout) {
  int status = RFAAS_UNFINISHED, any = 0;
  if (is_forked())
    return RFAAS_FORKED;
  if (!index || (!calls && count))
    return mistake("rfaas_wait_any: calls or index is NULL");
  for (size_t i = 0; i < count; i++)
    any |= calls[i] != NULL;
  if (!any)
    return mistake("rfaas_wait_any: there is no call to wait for");
  if ((status = find(calls, count, index)) == RFAAS_OK || timeout == 0)
    return status;
  int64_t until = deadline(timeout);
  __atomic_add_fetch(&waiters, 1, __ATOMIC_SEQ_CST);
  for (;;) {
    uint32_t before = __atomic_load_n(&ended_calls, __ATOMIC_SEQ_CST);
    if ((status = find(calls, count, index)) == RFAAS_OK || (until >= 0 && now() >= until))
      break;
    sleep_on(&ended_calls, before, until);
  }
  __atomic_sub_fetch(&waiters, 1, __ATOMIC_SEQ_CST);
  return status;
}

void rfaas_cancel(rfaas_call *call) {
  if (call && !forked && state_of(call) != CALL_HAS_ENDED)
    goCancel(call->pool, call);
}

void rfaas_free(rfaas_call *call) {
  if (!call)
    return;
  if (!forked && state_of(call) != CALL_HAS_ENDED) {
    rfaas_cancel(call);
    rfaas_wait(call, NULL, RFAAS_FOREVER);
  }
  free(call->message);
  free(call);
}

const char *rfaas_call_error(const rfaas_call *call) { return call->message ? call->message : ""; }

uint32_t rfaas_call_code(const rfaas_call *call) { return call->code; }

int rfaas_invoke_many(rfaas_pool *pool, const char *function, rfaas_item *items, size_t count, int64_t timeout) {
  enum { WINDOW = 256 }; // fewer than a pool's queue has room for
  rfaas_call *calls[WINDOW] = {0};
  size_t item_of[WINDOW], next = 0, under_way = 0, slot = 0, room = count < WINDOW ? count : WINDOW;
  int first = RFAAS_OK;
  char text[sizeof error_text] = "";
  if (is_forked())
    return RFAAS_FORKED;
  if (!items && count)
    return mistake("rfaas_invoke_many: items is NULL");
  int64_t until = deadline(timeout);
  while (next < count || under_way > 0) {
    int status = RFAAS_FULL;
    if (next < count && under_way < room) {
      while (calls[slot])
        slot = (slot + 1) % room;
      rfaas_item *item = &items[next];
      int64_t left = until < 0 ? RFAAS_FOREVER : until - now();
      if (until >= 0 && left <= 0)
        status = fail(RFAAS_DEADLINE, strdup("rfaas_invoke_many: the time is over before all calls were begun"));
      else
        status = rfaas_begin(pool, function, item->in, item->in_bytes, item->out, item->room, left, &calls[slot]);
      item->result_bytes = 0;
      if (status == RFAAS_OK) {
        item_of[slot] = next++;
        under_way++;
        continue;
      }
      if (status != RFAAS_FULL || under_way == 0)
        item->status = status, next++;
    }
    if (status == RFAAS_FULL && under_way > 0) {
      status = rfaas_wait_any(calls, room, &slot, RFAAS_FOREVER);
      rfaas_item *item = &items[item_of[slot]];
      status = item->status = rfaas_wait(calls[slot], &item->result_bytes, 0);
      rfaas_free(calls[slot]);
      calls[slot] = NULL;
      under_way--;
    }
    if (status != RFAAS_OK && first == RFAAS_OK) {
      first = status;
      memcpy(text, error_text, sizeof text);
    }
  }
  memcpy(error_text, text, sizeof text);
  return first;
}
