// The function of ../equalize.go in C, without a C library.
#include "../../rfaas.h"

RFAAS_FUNCTION(equalize) {
  if (in_len == 0)
    return rfaas_error(out, "the picture has no pixels");
  if (in_len > out_cap)
    return (int32_t)in_len;
  uint64_t count[256];
  for (uint32_t value = 0; value < 256; value++)
    count[value] = 0;
  for (uint32_t i = 0; i < in_len; i++)
    count[in[i]]++;
  uint64_t darkest = 0, below = 0;
  uint8_t table[256];
  for (uint32_t value = 0; value < 256; value++) {
    below += count[value];
    if (darkest == 0)
      darkest = count[value];
    uint64_t rest = in_len - darkest;
    table[value] = rest > 0 ? (uint8_t)(((below - darkest) * 255 + rest / 2) / rest) : (uint8_t)value;
  }
  for (uint32_t i = 0; i < in_len; i++)
    out[i] = table[in[i]];
  return (int32_t)in_len;
}
