// The function upper as a WebAssembly function, with a C library or without one.
#include "rfaas.h"

RFAAS_FUNCTION(upper) {
  if (in_len > out_cap)
    return (int32_t)in_len;
  for (uint32_t i = 0; i < in_len; i++)
    out[i] = in[i] >= 'a' && in[i] <= 'z' ? in[i] - 32 : in[i];
  return (int32_t)in_len;
}
