// Prices a portfolio of options, as blackscholes of PARSEC does: what is computed is little for what is moved.
#include "driver.h"
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8192, SEED = 1973 }; // options in an item

typedef struct portfolio {
  size_t count;
  terms *options;
  prices *out;
} portfolio;

// Those of PARSEC's optionData.txt, with its prices. PARSEC accepts a difference of 1e-4.
static const struct {
  terms option;
  prices reference; // NAN: it has none
} known[] = {
    {{42, 40, 0.10, 0.20, 0.50}, {4.759423036851750055, 0.808600016880314021}},
    {{100, 100, 0.05, 0.15, 1.00}, {8.591659601309890704, 3.714602051381290071}},
    {{100, 110, 0.10, 0.10, 0.10}, {0.003523074865584340, NAN}},
};
enum { KNOWN = sizeof known / sizeof *known };

// option is one of the portfolio, which begins with the known ones.
static terms option(uint64_t i) {
  if (i < KNOWN)
    return known[i].option;
  uint64_t key = SEED + i;
  double spot = 10 + 190 * random_unit(key, 0);
  return (terms){
      .spot = spot,
      .strike = spot * (0.5 + random_unit(key, 1)),
      .rate = 0.1 * random_unit(key, 2),
      .volatility = 0.05 + 0.6 * random_unit(key, 3),
      .expiry = 0.05 + 2 * random_unit(key, 4),
  };
}

static size_t in_bytes(long size) { return (void)size, BLOCK * sizeof(terms); }
static size_t room(long size) { return (void)size, BLOCK * sizeof(prices); }

static size_t options_of(const part *p) { return first_of(p->size, p->rank + 1, p->ranks) - first_of(p->size, p->rank, p->ranks); }
static size_t results(const part *p) { return options_of(p) * sizeof(prices) / sizeof(double); }

static void *begin(const part *p) {
  portfolio *mine = offload_alloc(sizeof *mine);
  mine->count = options_of(p);
  mine->options = offload_alloc(mine->count * sizeof *mine->options);
  for (size_t i = 0; i < mine->count; i++)
    mine->options[i] = option(first_of(p->size, p->rank, p->ranks) + i);
  return mine;
}

static void end(void *context) {
  portfolio *mine = context;
  free(mine->options);
  free(mine);
}

static size_t items(const void *context) { return (((const portfolio *)context)->count + BLOCK - 1) / BLOCK; }

static size_t length(const portfolio *mine, size_t item) {
  size_t rest = mine->count - item * BLOCK;
  return rest < BLOCK ? rest : BLOCK;
}

static size_t pack(void *context, size_t item, void *in) {
  const portfolio *mine = context;
  size_t bytes = length(mine, item) * sizeof(terms);
  memcpy(in, &mine->options[item * BLOCK], bytes);
  return bytes;
}

static void unpack(void *context, size_t item, const void *out) {
  const portfolio *mine = context;
  memcpy(&mine->out[item * BLOCK], out, length(mine, item) * sizeof(prices));
}

static void compute(void *context, size_t item) {
  const portfolio *mine = context;
  price_options(&mine->options[item * BLOCK], length(mine, item), &mine->out[item * BLOCK]);
}

static void run(void *context, const part *p, offload *o, double *out) {
  (void)p;
  ((portfolio *)context)->out = (prices *)out;
  offload_run(o, &(offload_loop){"price", items(context), context, pack, unpack, compute});
}

static void serial(void *context, const part *p, double *out) {
  (void)p;
  const portfolio *mine = context;
  price_options(mine->options, mine->count, (prices *)out);
}

// check compares with PARSEC's prices, and looks whether a call less a put is a forward.
static int check(long size, const double *out) {
  const prices *all = (const prices *)out;
  double most = 0;
  for (long i = 0; i < size; i++) {
    terms o = option(i);
    double forward = o.spot - o.strike * exp(-o.rate * o.expiry);
    double off = fabs(all[i].call - all[i].put - forward) / (o.spot + o.strike);
    if (!(off <= most))
      most = off;
    if (i < KNOWN && (fabs(all[i].call - known[i].reference.call) > 1e-5 || fabs(all[i].put - known[i].reference.put) > 1e-5)) {
      printf("option %ld costs %.9f (call) and %.9f (put), and does not in PARSEC: WRONG\n", i, all[i].call, all[i].put);
      return 0;
    }
  }
  printf("put-call parity holds within %.1e of the prices%s\n", most, most < 1e-14 ? "" : ": WRONG");
  return most < 1e-14;
}

int main(int argc, char **argv) {
  static const program p = {
      .name = "blackscholes", .unit = "pairs of options", .size = 8000000, .least = 1, .most = 500000000,
      .in_bytes = in_bytes, .room = room, .results = results,
      .begin = begin, .items = items, .run = run, .serial = serial, .end = end, .check = check,
  };
  return driver_main(argc, argv, &p);
}
