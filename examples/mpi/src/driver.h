/*
 * What the programs have in common: their options, runs on some of the ranks with some executors, and the
 * table of what came out.
 */
#ifndef DRIVER_H
#define DRIVER_H

#include "offload.h"

#include <mpi.h>

/* A rank in a run: one of so many that share the work. */
typedef struct part {
  long size; // of the problem, all ranks
  int rank, ranks;
  MPI_Comm comm;
} part;

typedef struct program {
  const char *name;
  const char *unit;           // what --size counts
  long size, least, most;     // --size: if it is not given, and its bounds
  size_t (*in_bytes)(long size); // of an item, at most
  size_t (*room)(long size);     // of an item's result, at most

  size_t (*results)(const part *); // how many numbers are the rank's; those of all ranks in their order are the result
  void *(*begin)(const part *);    // makes the rank's part of the problem
  size_t (*items)(const void *context);                                     // how many items the rank is going to do in run
  void (*run)(void *context, const part *, offload *, double *results);     // solves it
  void (*serial)(void *context, const part *, double *results);             // solves it as a program without MPI does
  void (*end)(void *context);
  int (*check)(long size, const double *results); // prints what is known of the result, and says whether it is so
} program;

/* What main is to return. */
int driver_main(int argc, char **argv, const program *p);

/* The first of n things that is a rank's: it has those up to the first of the next rank. */
long first_of(long n, int rank, int ranks);

#endif
