// The function upper as a shared object.
#include <ctype.h>
#include <stdint.h>

uint32_t upper(void *args, uint32_t size, void *res) {
  const unsigned char *in = args;
  unsigned char *out = res;
  for (uint32_t i = 0; i < size; i++)
    out[i] = (unsigned char)toupper(in[i]);
  return size;
}
