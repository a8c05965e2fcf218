#include "kernels.h"

#include <math.h>

// random_bits is the generator SplitMix64 (Steele, Lea and Flood 2014), whose state is a counter, from a state that is the hash of the key.
static uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t random_bits(uint64_t key, uint64_t place) {
  const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
  return mix(mix(key * step + 1) + (place + 1) * step);
}

double random_unit(uint64_t key, uint64_t place) { return (double)(random_bits(key, place) >> 11) * 0x1p-53; }

// below is the probability that a standard normal variable is below x.
static double below(double x) { return erfc(-x * 0.70710678118654752440) / 2; }

void price_options(const terms *options, size_t count, prices *out) {
  for (size_t i = 0; i < count; i++) {
    const terms *o = &options[i];
    double cash = o->strike * exp(-o->rate * o->expiry); // present value of the strike
    double deviation = o->volatility * sqrt(o->expiry);
    double forward = log(o->spot / o->strike) + o->rate * o->expiry;
    double d1 = forward / deviation + deviation / 2, d2 = forward / deviation - deviation / 2;
    out[i].call = fmax(0, o->spot * below(d1) - cash * below(d2));
    out[i].put = fmax(0, cash * below(-d2) - o->spot * below(-d1));
  }
}
