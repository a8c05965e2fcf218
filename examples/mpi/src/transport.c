// Follows neutrons of one energy through two slabs, by Monte Carlo: one absorbs at each collision, the other scatters mostly. An
// item is a batch of neutrons, with random numbers of its own: what comes out does not depend on who computes it.
#include "driver.h"
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 20000, SEED = 1949, SLABS = 2 };

static const struct {
  const char *name;
  double thickness, scattering;
} slabs[SLABS] = {{"absorbing", 2, 0}, {"scattering", 4, 0.9}};

typedef struct batches {
  long size;
  size_t first, count; // of the batches of both slabs
  tally *out;
} batches;

static long per_slab(long size) { return (size + BATCH - 1) / BATCH; }

// batch_of is one of the batches. Those of the slabs take turns: all parts of the list are as much work.
static batch batch_of(long size, size_t i) {
  size_t slab = i % SLABS, number = i / SLABS;
  long rest = size - (long)number * BATCH;
  return (batch){slabs[slab].thickness, slabs[slab].scattering, SEED + i, rest < BATCH ? rest : BATCH};
}

static size_t in_bytes(long size) { return (void)size, sizeof(batch); }
static size_t room(long size) { return (void)size, sizeof(tally); }

static size_t first(const part *p, int rank) { return first_of(SLABS * per_slab(p->size), rank, p->ranks); }
static size_t batches_of(const part *p) { return first(p, p->rank + 1) - first(p, p->rank); }
static size_t results(const part *p) { return batches_of(p) * sizeof(tally) / sizeof(double); }

static void *begin(const part *p) {
  batches *mine = offload_alloc(sizeof *mine);
  *mine = (batches){.size = p->size, .first = first(p, p->rank), .count = batches_of(p)};
  return mine;
}

static void end(void *context) { free(context); }

static size_t items(const void *context) { return ((const batches *)context)->count; }

static size_t pack(void *context, size_t item, void *in) {
  const batches *mine = context;
  *(batch *)in = batch_of(mine->size, mine->first + item);
  return sizeof(batch);
}

static void unpack(void *context, size_t item, const void *out) { ((batches *)context)->out[item] = *(const tally *)out; }

static void compute(void *context, size_t item) {
  const batches *mine = context;
  batch b = batch_of(mine->size, mine->first + item);
  mine->out[item] = transport(&b);
}

static void run(void *context, const part *p, offload *o, double *out) {
  (void)p;
  ((batches *)context)->out = (tally *)out;
  offload_run(o, &(offload_loop){"neutrons", items(context), context, pack, unpack, compute});
}

static void serial(void *context, const part *p, double *out) {
  (void)p;
  ((batches *)context)->out = (tally *)out;
  for (size_t i = 0; i < items(context); i++)
    compute(context, i);
}

// check sums up, in the order of the batches. What passes through the absorbing slab is known; five standard deviations are allowed.
static int check(long size, const double *out) {
  const tally *all = (const tally *)out;
  int right = 1;
  for (int s = 0; s < SLABS; s++) {
    tally sum = {0};
    for (long i = 0; i < per_slab(size); i++) {
      const tally *t = &all[i * SLABS + s];
      sum.transmitted += t->transmitted, sum.reflected += t->reflected, sum.absorbed += t->absorbed, sum.path += t->path;
    }
    double passed = sum.transmitted / size;
    printf("%s slab, %g mean free paths: %.6f transmitted, %.6f reflected, mean path %.6f", slabs[s].name, slabs[s].thickness, passed,
           sum.reflected / size, sum.path / size);
    int is = sum.transmitted + sum.reflected + sum.absorbed == size;
    if (slabs[s].scattering == 0) {
      double p = exp(-slabs[s].thickness), deviation = sqrt(p * (1 - p) / size);
      printf("; exp(-%g) is %.6f", slabs[s].thickness, p);
      is &= fabs(passed - p) < 5 * deviation && sum.reflected == 0;
    }
    printf("%s\n", is ? "" : ": WRONG");
    right &= is;
  }
  return right;
}

int main(int argc, char **argv) {
  static const program p = {
      .name = "transport", .unit = "neutrons into each slab", .size = 12000000, .least = 1, .most = 1000000000000,
      .in_bytes = in_bytes, .room = room, .results = results,
      .begin = begin, .items = items, .run = run, .serial = serial, .end = end, .check = check,
  };
  return driver_main(argc, argv, &p);
}
