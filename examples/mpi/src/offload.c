#include "offload.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000000000)

enum {
  CALLS_PER_WORKER = 4, // one that it executes, and others that wait while the rank computes
};

static const int64_t lease_timeout = 5 * SECOND;
static const double pause_seconds = 10; // after which executors are tried again that did not answer

void *offload_alloc(size_t bytes) {
  void *memory = malloc(bytes ? bytes : 1);
  if (!memory) {
    fprintf(stderr, "offload: there is no memory for %zu bytes\n", bytes);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  return memory;
}

// end_if_mistake ends the program if a call failed by its caller's doing: it would fail everywhere.
static void end_if_mistake(int status, const char *function) {
  switch (status) {
  case RFAAS_FUNCTION:
  case RFAAS_NOT_FOUND:
  case RFAAS_TOO_LARGE:
  case RFAAS_INVALID:
  case RFAAS_FORKED:
    fprintf(stderr, "offload: %s: %s\n", function, rfaas_error());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
}

// registered is memory that calls do not copy from, nor to.
static void *registered(rfaas *cluster, size_t bytes) {
  void *memory;
  if (rfaas_alloc(cluster, bytes, &memory) != RFAAS_OK) {
    fprintf(stderr, "offload: %s\n", rfaas_error());
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  return memory;
}

int offload_open(offload *o, rfaas *cluster, const char *functions, int workers, size_t in_bytes, size_t room) {
  *o = (offload){.cluster = cluster, .in_bytes = in_bytes, .room = room};
  rfaas_order order = {
      .code = functions,
      .workers = workers,
      .at_least = 1,
      .payload_bytes = CALLS_PER_WORKER * (int64_t)(in_bytes + room),
      .timeout = lease_timeout,
  };
  int status = rfaas_lease(cluster, &order, &o->pool);
  if (status != RFAAS_OK)
    return status;
  rfaas_item ready[workers];
  memset(ready, 0, sizeof ready);
  end_if_mistake(rfaas_invoke_many(o->pool, "ready", ready, workers, lease_timeout), "ready");
  o->slot_count = (size_t)workers * CALLS_PER_WORKER;
  o->calls = offload_alloc(o->slot_count * sizeof *o->calls);
  o->slots = offload_alloc(o->slot_count * sizeof *o->slots);
  for (size_t i = 0; i < o->slot_count; i++) {
    o->calls[i] = NULL;
    o->slots[i] = (offload_slot){.in = registered(cluster, in_bytes), .out = registered(cluster, room)};
  }
  return RFAAS_OK;
}

void offload_close(offload *o) {
  rfaas_release(o->pool);
  for (size_t i = 0; i < o->slot_count; i++) {
    rfaas_dealloc(o->cluster, o->slots[i].in);
    rfaas_dealloc(o->cluster, o->slots[i].out);
  }
  free(o->calls);
  free(o->slots);
  o->pool = NULL, o->calls = NULL, o->slots = NULL;
  o->slot_count = 0;
}

static void compute(offload *o, const offload_loop *loop, size_t item) {
  double begin = MPI_Wtime();
  loop->compute(loop->context, item);
  o->own_seconds += MPI_Wtime() - begin;
  o->by_rank++;
}

// begin begins the call for an item, for which there is a slot. It returns 0 if that cannot be done now.
static int begin(offload *o, const offload_loop *loop, size_t item) {
  size_t i = 0;
  while (o->calls[i])
    i++;
  offload_slot *s = &o->slots[i];
  s->item = item;
  size_t bytes = loop->pack(loop->context, item, s->in);
  int status = rfaas_begin(o->pool, loop->function, s->in, bytes, s->out, o->room, RFAAS_FOREVER, &o->calls[i]);
  end_if_mistake(status, loop->function);
  if (status != RFAAS_OK)
    return 0;
  o->in_flight++;
  return 1;
}

// end frees a call. The rank does its item if the executor did not.
static void end(offload *o, const offload_loop *loop, size_t i, int status) {
  offload_slot *s = &o->slots[i];
  end_if_mistake(status, loop->function);
  if (status == RFAAS_OK)
    loop->unpack(loop->context, s->item, s->out);
  rfaas_free(o->calls[i]);
  o->calls[i] = NULL;
  o->in_flight--;
  if (status == RFAAS_OK) {
    o->by_executors++;
    return;
  }
  o->lost++;
  compute(o, loop, s->item);
}

// take waits for a call to end, so long at most, and says whether one has.
static int take(offload *o, const offload_loop *loop, int64_t timeout) {
  size_t i;
  if (o->in_flight == 0 || rfaas_wait_any(o->calls, o->slot_count, &i, timeout) != RFAAS_OK)
    return 0;
  end(o, loop, i, rfaas_test(o->calls[i], NULL));
  return 1;
}

// take_back gives all calls up, and executors for a time: maybe there are none.
static void take_back(offload *o, const offload_loop *loop) {
  for (size_t i = 0; i < o->slot_count; i++)
    if (o->calls[i])
      rfaas_cancel(o->calls[i]);
  for (size_t i = 0; i < o->slot_count; i++)
    if (o->calls[i])
      end(o, loop, i, rfaas_wait(o->calls[i], NULL, RFAAS_FOREVER));
  o->again = MPI_Wtime() + pause_seconds;
}

// patience is how long to wait for a call when there is nothing else to do: long against what the rank itself
// takes for an item. A call that has no executor waits until there is one, which may be never.
static int64_t patience(const offload *o) {
  if (o->by_rank == 0)
    return SECOND;
  return SECOND + (int64_t)(4e9 * o->own_seconds / (double)o->by_rank);
}

void offload_run(offload *o, const offload_loop *loop) {
  size_t front = 0, back = loop->items;
  while (front < back || o->in_flight > 0) {
    while (o->in_flight < o->slot_count && front < back && MPI_Wtime() >= o->again && begin(o, loop, front))
      front++;
    if (o->in_flight > 0 && o->watch)
      o->watch(o);
    if (front < back) {
      compute(o, loop, --back);
      while (take(o, loop, 0))
        ;
    } else if (o->in_flight > 0 && !take(o, loop, patience(o))) {
      take_back(o, loop);
    }
  }
}
