#include "kernels.h"

#include <math.h>
#include <string.h>

// mix is that of SplitMix64 (Steele, Lea and Flood 2014), whose state is a counter.
static uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t random_bits(uint64_t key, uint64_t place) {
  const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
  return mix(mix((key + 1) * step) + (place + 1) * step);
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

// multiply adds the products of four rows of B at a time, in their order.
void multiply(size_t rows, size_t columns, size_t n, const double *a, size_t a_step, const double *b, size_t b_step,
              double *restrict c, size_t c_step) {
  for (size_t i = 0; i < rows; i++, a += a_step, c += c_step) {
    size_t k = 0;
    for (; k + 4 <= n; k += 4) {
      const double *b0 = b + k * b_step, *b1 = b0 + b_step, *b2 = b1 + b_step, *b3 = b2 + b_step;
      double a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
      for (size_t j = 0; j < columns; j++)
        c[j] = (((c[j] + a0 * b0[j]) + a1 * b1[j]) + a2 * b2[j]) + a3 * b3[j];
    }
    for (; k < n; k++)
      for (size_t j = 0; j < columns; j++)
        c[j] += a[k] * b[k * b_step + j];
  }
}

size_t scratch_of(const strip *s) { return s->sweeps > 1 ? s->rows * s->columns : 0; }

// sweep_rows is a sweep of rows which have others above and below.
static void sweep_rows(const double *row, size_t rows, size_t width, double *restrict out) {
  for (; rows > 0; rows--, row += width, out += width) {
    const double *above = row - width, *below = row + width;
    out[0] = row[0];
    for (size_t j = 1; j < width - 1; j++)
      out[j] = ((above[j] + below[j]) + (row[j - 1] + row[j + 1])) * 0.25;
    out[width - 1] = row[width - 1];
  }
}

void sweep(const strip *s, const double *in, double *scratch, double *other, double *out) {
  const size_t width = s->columns;
  const int first = s->from < s->sweeps, last = s->rows - s->to < s->sweeps; // these rows are the grid's edges
  const double *now = in;
  for (size_t n = 1;; n++) {
    // Each sweep is of a row less on either side, but for the edges.
    size_t from = first ? 1 : n, to = last ? s->rows - 1 : s->rows - n;
    if (n == s->sweeps) {
      sweep_rows(now + s->from * width, s->to - s->from, width, out);
      return;
    }
    if (first)
      memcpy(scratch, now, width * sizeof *now);
    if (last)
      memcpy(scratch + to * width, now + to * width, width * sizeof *now);
    sweep_rows(now + from * width, to - from, width, scratch + from * width);
    double *done = scratch;
    now = done, scratch = other, other = done;
  }
}

tally transport(const batch *b) {
  tally t = {0};
  uint64_t place = 0;
  for (uint64_t i = 0; i < b->neutrons; i++) {
    double at = 0, direction = 1, path = 0;
    for (;;) {
      double flight = -log(1 - random_unit(b->stream, place++));
      double to = at + direction * flight;
      if (to >= b->thickness) {
        t.transmitted++, path += (b->thickness - at) / direction;
        break;
      }
      if (to < 0) {
        t.reflected++, path -= at / direction;
        break;
      }
      at = to, path += flight;
      if (random_unit(b->stream, place++) >= b->scattering) {
        t.absorbed++;
        break;
      }
      direction = 2 * random_unit(b->stream, place++) - 1; // all directions are as probable
    }
    t.path += path;
  }
  return t;
}
