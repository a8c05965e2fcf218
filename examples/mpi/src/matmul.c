// Multiplies two matrices, C = A B. Each rank has rows of A and C, and all of B. An item is a block of C; a call takes along the
// rows of A and the columns of B that it needs.
#include "driver.h"
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64, COLUMNS = 128 }; // of a block

typedef struct matrices {
  size_t n, rows, across; // across: how many blocks are side by side
  double *a, *b, *c;
} matrices;

// element is a small whole number, so that sums are exact, and so is what check sums.
static double element(int matrix, size_t i, size_t j) { return (double)(random_bits(matrix, (uint64_t)i << 32 | j) % 2001) - 1000; }

static size_t in_bytes(long n) { return sizeof(product) + (ROWS + COLUMNS) * (size_t)n * sizeof(double); }
static size_t room(long n) { return (void)n, ROWS * COLUMNS * sizeof(double); }

static size_t rows_of(const part *p) { return first_of(p->size, p->rank + 1, p->ranks) - first_of(p->size, p->rank, p->ranks); }
static size_t results(const part *p) { return rows_of(p) * p->size; }

static double *fill(int matrix, size_t first, size_t rows, size_t n) {
  double *m = offload_alloc(rows * n * sizeof *m);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < n; j++)
      m[i * n + j] = element(matrix, first + i, j);
  return m;
}

static void *begin(const part *p) {
  matrices *mine = offload_alloc(sizeof *mine);
  *mine = (matrices){.n = p->size, .rows = rows_of(p), .across = (p->size + COLUMNS - 1) / COLUMNS};
  mine->a = fill('A', first_of(p->size, p->rank, p->ranks), mine->rows, mine->n);
  mine->b = fill('B', 0, mine->n, mine->n);
  return mine;
}

static void end(void *context) {
  matrices *mine = context;
  free(mine->a);
  free(mine->b);
  free(mine);
}

static size_t items(const void *context) {
  const matrices *mine = context;
  return mine->across * ((mine->rows + ROWS - 1) / ROWS);
}

typedef struct block {
  size_t row, column, rows, columns;
} block;

static block block_of(const matrices *mine, size_t item) {
  block b = {.row = item / mine->across * ROWS, .column = item % mine->across * COLUMNS};
  b.rows = mine->rows - b.row < ROWS ? mine->rows - b.row : ROWS;
  b.columns = mine->n - b.column < COLUMNS ? mine->n - b.column : COLUMNS;
  return b;
}

static size_t pack(void *context, size_t item, void *in) {
  const matrices *mine = context;
  block at = block_of(mine, item);
  *(product *)in = (product){at.rows, at.columns, mine->n};
  double *a = (double *)((product *)in + 1), *b = a + at.rows * mine->n;
  memcpy(a, mine->a + at.row * mine->n, at.rows * mine->n * sizeof *a);
  for (size_t k = 0; k < mine->n; k++)
    memcpy(b + k * at.columns, mine->b + k * mine->n + at.column, at.columns * sizeof *b);
  return sizeof(product) + (at.rows + at.columns) * mine->n * sizeof(double);
}

static void unpack(void *context, size_t item, const void *out) {
  const matrices *mine = context;
  block at = block_of(mine, item);
  for (size_t i = 0; i < at.rows; i++)
    memcpy(mine->c + (at.row + i) * mine->n + at.column, (const double *)out + i * at.columns, at.columns * sizeof(double));
}

static void compute(void *context, size_t item) {
  const matrices *mine = context;
  block at = block_of(mine, item);
  double *c = mine->c + at.row * mine->n + at.column;
  for (size_t i = 0; i < at.rows; i++)
    memset(c + i * mine->n, 0, at.columns * sizeof *c);
  multiply(at.rows, at.columns, mine->n, mine->a + at.row * mine->n, mine->n, mine->b + at.column, mine->n, c, mine->n);
}

static void run(void *context, const part *p, offload *o, double *c) {
  (void)p;
  ((matrices *)context)->c = c;
  offload_run(o, &(offload_loop){"matmul", items(context), context, pack, unpack, compute});
}

// serial goes by the same blocks, which fit the cache.
static void serial(void *context, const part *p, double *c) {
  (void)p;
  ((matrices *)context)->c = c;
  for (size_t i = 0; i < items(context); i++)
    compute(context, i);
}

// check sums C: that is what the sums of A's columns and of B's rows give, exactly.
static int check(long size, const double *c) {
  size_t n = size;
  double sum = 0, expected = 0;
  for (size_t i = 0; i < n * n; i++)
    sum += c[i];
  for (size_t k = 0; k < n; k++) {
    double column = 0, row = 0;
    for (size_t i = 0; i < n; i++)
      column += element('A', i, k), row += element('B', k, i);
    expected += column * row;
  }
  printf("the elements of C sum to %.0f, as they should%s\n", sum, sum == expected ? "" : " not: WRONG");
  return sum == expected;
}

int main(int argc, char **argv) {
  static const program p = {
      .name = "matmul", .unit = "rows and columns", .size = 1536, .least = 1, .most = 16384,
      .in_bytes = in_bytes, .room = room, .results = results,
      .begin = begin, .items = items, .run = run, .serial = serial, .end = end, .check = check,
  };
  return driver_main(argc, argv, &p);
}
