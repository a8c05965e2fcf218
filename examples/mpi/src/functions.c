// What executors call: the kernels, with the signature that rFaaS gives functions of a shared object.
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

uint32_t ready(void *args, uint32_t size, void *res) {
  (void)args, (void)size, (void)res;
  return 0;
}

uint32_t price(void *args, uint32_t size, void *res) {
  size_t count = size / sizeof(terms);
  price_options(args, count, res);
  return (uint32_t)(count * sizeof(prices));
}

uint32_t matmul(void *args, uint32_t size, void *res) {
  const product *p = args;
  const double *a = (const double *)(p + 1), *b = a + p->rows * p->n;
  size_t bytes = p->rows * p->columns * sizeof(double);
  (void)size;
  memset(res, 0, bytes); // it is not zeroed
  multiply(p->rows, p->columns, p->n, a, p->n, b, p->columns, res, p->columns);
  return (uint32_t)bytes;
}

uint32_t jacobi(void *args, uint32_t size, void *res) {
  static double *scratch; // remains for the next call: pages that are new take time
  static size_t has;
  const strip *s = args;
  size_t needs = 2 * scratch_of(s);
  (void)size;
  if (needs > has) {
    free(scratch);
    if (!(scratch = malloc(needs * sizeof *scratch)))
      abort(); // the rank does it
    has = needs;
  }
  sweep(s, (const double *)(s + 1), scratch, scratch + needs / 2, res);
  return (uint32_t)((s->to - s->from) * s->columns * sizeof(double));
}

uint32_t neutrons(void *args, uint32_t size, void *res) {
  (void)size;
  *(tally *)res = transport(args);
  return sizeof(tally);
}
