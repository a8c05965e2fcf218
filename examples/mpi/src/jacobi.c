// The temperature of a plate whose upper edge is hot, by Jacobi's iteration: each point becomes the mean of its four neighbours. Each
// rank has rows of the grid. It sweeps DEPTH times before it exchanges DEPTH rows with its neighbours; in between, an item is
// a block of rows with DEPTH more on either side, so that a call computes DEPTH times for what it moves.
#include "driver.h"
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEPS = 512, DEPTH = 16, BLOCK = 64 };

static const double hot = 100;

typedef struct plate {
  size_t columns, rows;    // with the edges; those that the rank is to compute
  size_t above, below;     // rows in old before and behind them
  size_t depth;            // sweeps between exchanges
  double *old;             // above + rows + below of them
  double *next;            // rows of them
  double *scratch, *other; // for the rank's own sweeps
  size_t sweeps;           // until the next exchange
} plate;

static size_t in_bytes(long n) { return sizeof(strip) + (BLOCK + 2 * DEPTH) * (n + 2) * sizeof(double); }
static size_t room(long n) { return BLOCK * (n + 2) * sizeof(double); }

static size_t rows_of(const part *p) { return first_of(p->size, p->rank + 1, p->ranks) - first_of(p->size, p->rank, p->ranks); }
static size_t results(const part *p) { return rows_of(p) * (p->size + 2); }

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void *begin(const part *p) {
  plate *mine = offload_alloc(sizeof *mine);
  *mine = (plate){.columns = p->size + 2, .rows = rows_of(p)};
  mine->depth = smaller(DEPTH, p->size / p->ranks); // a neighbour has as many rows
  mine->above = p->rank == 0 ? 1 : mine->depth;
  mine->below = p->rank == p->ranks - 1 ? 1 : mine->depth;
  size_t all = (mine->above + mine->rows + mine->below) * mine->columns;
  mine->old = offload_alloc(all * sizeof(double));
  mine->next = offload_alloc(mine->rows * mine->columns * sizeof(double));
  mine->scratch = offload_alloc((BLOCK + 2 * DEPTH) * mine->columns * sizeof(double));
  mine->other = offload_alloc((BLOCK + 2 * DEPTH) * mine->columns * sizeof(double));
  for (size_t i = 0; i < all; i++)
    mine->old[i] = p->rank == 0 && i < mine->columns ? hot : 0;
  return mine;
}

static void end(void *context) {
  plate *mine = context;
  free(mine->old);
  free(mine->next);
  free(mine->scratch);
  free(mine->other);
  free(mine);
}

static size_t blocks(const plate *mine) { return (mine->rows + BLOCK - 1) / BLOCK; }

static size_t items(const void *context) {
  const plate *mine = context;
  return (SWEEPS + mine->depth - 1) / mine->depth * blocks(mine);
}

// strip_of is the strip for a block, which begins with the returned row of old.
static const double *strip_of(const plate *mine, size_t item, strip *s) {
  size_t from = mine->above + item * BLOCK, to = smaller(from + BLOCK, mine->above + mine->rows);
  size_t begin = from - smaller(from, mine->sweeps), end = smaller(to + mine->sweeps, mine->above + mine->rows + mine->below);
  *s = (strip){.rows = end - begin, .columns = mine->columns, .from = from - begin, .to = to - begin, .sweeps = mine->sweeps};
  return mine->old + begin * mine->columns;
}

static size_t pack(void *context, size_t item, void *in) {
  strip *s = in;
  const double *rows = strip_of(context, item, s);
  size_t bytes = s->rows * s->columns * sizeof *rows;
  memcpy(s + 1, rows, bytes);
  return sizeof *s + bytes;
}

static void unpack(void *context, size_t item, const void *out) {
  const plate *mine = context;
  size_t rows = smaller(BLOCK, mine->rows - item * BLOCK);
  memcpy(mine->next + item * BLOCK * mine->columns, out, rows * mine->columns * sizeof(double));
}

static void compute(void *context, size_t item) {
  const plate *mine = context;
  strip s;
  const double *rows = strip_of(mine, item, &s);
  sweep(&s, rows, mine->scratch, mine->other, mine->next + item * BLOCK * mine->columns);
}

// exchange sends the rank's outermost rows to its neighbours, and gets theirs.
static void exchange(const plate *mine, const part *p) {
  int count = (int)(mine->depth * mine->columns);
  int up = p->rank > 0 ? p->rank - 1 : MPI_PROC_NULL, down = p->rank < p->ranks - 1 ? p->rank + 1 : MPI_PROC_NULL;
  double *first = mine->old + mine->above * mine->columns, *behind = first + mine->rows * mine->columns;
  MPI_Sendrecv(first, count, MPI_DOUBLE, up, 0, behind, count, MPI_DOUBLE, down, 0, p->comm, MPI_STATUS_IGNORE);
  MPI_Sendrecv(behind - count, count, MPI_DOUBLE, down, 0, mine->old, count, MPI_DOUBLE, up, 0, p->comm, MPI_STATUS_IGNORE);
}

static void run(void *context, const part *p, offload *o, double *out) {
  plate *mine = context;
  double *own = mine->old + mine->above * mine->columns;
  size_t bytes = mine->rows * mine->columns * sizeof *own;
  for (size_t done = 0; done < SWEEPS; done += mine->sweeps) {
    mine->sweeps = smaller(mine->depth, SWEEPS - done);
    exchange(mine, p);
    offload_run(o, &(offload_loop){"jacobi", blocks(mine), mine, pack, unpack, compute});
    memcpy(own, mine->next, bytes);
  }
  memcpy(out, own, bytes);
}

// serial sweeps the whole grid each time.
static void serial(void *context, const part *p, double *out) {
  const plate *mine = context;
  (void)p;
  size_t bytes = mine->rows * mine->columns * sizeof(double);
  double *now = mine->old, *next = offload_alloc((mine->rows + 2) * mine->columns * sizeof *next);
  memcpy(next, now, bytes + 2 * mine->columns * sizeof *next); // for the edges
  for (int i = 0; i < SWEEPS; i++) {
    strip all = {.rows = mine->rows + 2, .columns = mine->columns, .from = 1, .to = mine->rows + 1, .sweeps = 1};
    sweep(&all, now, NULL, NULL, next + mine->columns);
    double *old = now;
    now = next, next = old;
  }
  memcpy(out, now + mine->columns, bytes);
  free(now == mine->old ? next : now);
}

// check looks whether it is as warm on the left as on the right, and gets colder from row to row.
static int check(long n, const double *out) {
  size_t columns = n + 2, middle = columns / 2;
  int right = 1;
  for (long i = 0; i < n; i++)
    for (size_t j = 1; j <= (size_t)n; j++) {
      double t = out[i * columns + j], above = i == 0 ? hot : out[(i - 1) * columns + j];
      right &= t == out[i * columns + columns - 1 - j] && t >= 0 && t <= above;
    }
  printf("after %d sweeps the middle of the first row has %.6f degrees; the plate is symmetric and gets colder downwards%s\n", SWEEPS, out[middle],
         right ? "" : " not: WRONG");
  return right;
}

int main(int argc, char **argv) {
  static const program p = {
      .name = "jacobi", .unit = "rows and columns", .size = 2048, .least = 1, .most = 32768,
      .in_bytes = in_bytes, .room = room, .results = results,
      .begin = begin, .items = items, .run = run, .serial = serial, .end = end, .check = check,
  };
  return driver_main(argc, argv, &p);
}
