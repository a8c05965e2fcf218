/*
 * Loops that a rank shares with leased cores. The items of a loop do not depend on each other. Executors
 * take them from the front and the rank itself from the end, until they meet: so the work is balanced
 * whatever either is able to do, and a rank whose executors are gone does all of it.
 */
#ifndef OFFLOAD_H
#define OFFLOAD_H

#include <rfaas.h>

typedef struct offload_loop {
  const char *function; // of the code that was leased with: it does an item
  size_t items;
  void *context; // for the following
  size_t (*pack)(void *context, size_t item, void *in);         // writes the input for the function, and returns its length
  void (*unpack)(void *context, size_t item, const void *out);  // takes the function's result
  void (*compute)(void *context, size_t item);                  // does an item here
} offload_loop;

/* A call under way, or room for one. */
typedef struct offload_slot {
  void *in, *out;
  size_t item;
} offload_slot;

/* A rank's executors. Zero is a rank without any. */
typedef struct offload {
  rfaas *cluster;
  rfaas_pool *pool;
  size_t in_bytes, room;
  rfaas_call **calls; // by slot, NULL: free
  offload_slot *slots;
  size_t slot_count, in_flight;
  double again; // when calls may be begun again (MPI_Wtime)

  size_t by_executors, by_rank, lost; // items so far; lost: those of by_rank that executors had and did not do
  double own_seconds;                 // that by_rank took

  void (*watch)(struct offload *); // unless NULL: called between items while calls are under way
} offload;

/*
 * Leases workers that execute the functions of a shared object, one at least, for items of at most so
 * many bytes in and out, and waits until they have started: until they answer the function "ready". Returns what rfaas_lease does. If it fails, o is that of a rank without any.
 */
int offload_open(offload *o, rfaas *cluster, const char *functions, int workers, size_t in_bytes, size_t room);

/* Does all items of a loop. A mistake, such as a function that there is not, ends the program (MPI_Abort). */
void offload_run(offload *o, const offload_loop *loop);

/* Gives the workers back. The counts remain. */
void offload_close(offload *o);

/* Memory. Ends the program if there is none. */
void *offload_alloc(size_t bytes);

#endif
