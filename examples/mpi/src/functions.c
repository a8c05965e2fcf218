// What executors call: the kernels, with the signature that rFaaS gives functions of a shared object.
#include "kernels.h"

uint32_t price(void *args, uint32_t size, void *res) {
  size_t count = size / sizeof(terms);
  price_options(args, count, res);
  return (uint32_t)(count * sizeof(prices));
}
