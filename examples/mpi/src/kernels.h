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

#endif
