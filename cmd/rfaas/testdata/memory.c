// WebAssembly functions that need memory, without a C library.
#include "rfaas.h"

enum { STEP = 16, PAGE = 1 << 16 };

RFAAS_FUNCTION(echo)
{
  uint32_t n = in_len < out_cap ? in_len : out_cap;
  __builtin_memcpy(out, in, n);
  return (int32_t)in_len;
}

// room is how much there is for a result, in KiB, as text; all of it is written.
RFAAS_FUNCTION(room)
{
  int32_t n = 0;
  char text[10];
  __builtin_memset(out, 1, out_cap);
  for (uint32_t rest = out_cap >> 10; rest > 0; rest /= 10)
    text[n++] = (char)('0' + rest % 10);
  for (int32_t i = 0; i < n; i++)
    out[i] = (uint8_t)text[n - 1 - i];
  return n;
}

// steps takes all memory that there is in steps of a mebibyte, writes to all of it,
// and returns one byte for each mebibyte that it got.
RFAAS_FUNCTION(steps)
{
  int32_t n = 0;
  for (;;) {
    unsigned long at = __builtin_wasm_memory_grow(0, STEP);
    if (at == (unsigned long)-1)
      break;
    __builtin_memset((void *)(at * PAGE), 1, STEP * PAGE);
    out[n++] = 'm';
  }
  return n;
}
