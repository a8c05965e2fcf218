// The function upper as a WebAssembly function.
#include "rfaas.h"
#include <algorithm>
#include <cctype>

RFAAS_FUNCTION(upper) {
  if (in_len > out_cap)
    return in_len;
  std::transform(in, in + in_len, out, [](unsigned char c) { return std::toupper(c); });
  return in_len;
}
