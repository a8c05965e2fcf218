/*
 * What is computed, the same code for ranks and executors: their results are equal to the last bit.
 */
#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The number at a place of the random numbers that belong to a key. */
uint64_t random_bits(uint64_t key, uint64_t place);

/* Such a number in [0, 1). */
double random_unit(uint64_t key, uint64_t place);

/* A pair of European options on the same share. */
typedef struct terms {
  double spot, strike;
  double rate, volatility; // a year
  double expiry;           // years
} terms;

typedef struct prices {
  double call, put;
} prices;

/* The prices of options by the formula of Black and Scholes (1973). */
void price_options(const terms *options, size_t count, prices *out);

/*
 * Adds to a block of rows x columns of C the product of rows of A, of n numbers each, and columns of B. The
 * steps are those from one row to the next.
 */
void multiply(size_t rows, size_t columns, size_t n, const double *a, size_t a_step, const double *b, size_t b_step,
              double *c, size_t c_step);

/* A block as the input of a function: the rows of A and the columns of B follow. */
typedef struct product {
  uint64_t rows, columns, n;
} product;

/*
 * Rows of a grid for Jacobi's iteration: those that are wanted, and so many on either side as there are sweeps, or
 * as there are up to the edge of the grid, which does not change. As the input of a function, the rows follow.
 */
typedef struct strip {
  uint64_t rows, columns;
  uint64_t from, to; // those from ... to - 1 are wanted
  uint64_t sweeps;
} strip;

/* How many numbers each of the two scratch areas of a strip has. */
size_t scratch_of(const strip *s);

/* Sweeps a strip: each inner number becomes the mean of its four neighbours. The wanted rows are written to out. */
void sweep(const strip *s, const double *in, double *scratch, double *other, double *out);

/* Neutrons that fly into a slab at a right angle. */
typedef struct batch {
  double thickness;  // in mean free paths
  double scattering; // the probability that a collision scatters, and does not absorb
  uint64_t stream;   // of random numbers
  uint64_t neutrons;
} batch;

/* What becomes of them. Counts are numbers, so that all of it can be sent as one kind. */
typedef struct tally {
  double transmitted, reflected, absorbed;
  double path; // the sum of the lengths of all paths in the slab, in mean free paths
} tally;

/* Follows the neutrons of a batch, one after the other. */
tally transport(const batch *b);

#endif
