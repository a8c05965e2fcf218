// The function upper as a shared object.
#include <algorithm>
#include <cctype>
#include <cstdint>

extern "C" uint32_t upper(void *args, uint32_t size, void *res) {
  auto in = static_cast<const unsigned char *>(args);
  std::transform(in, in + size, static_cast<unsigned char *>(res), [](unsigned char c) { return std::toupper(c); });
  return size;
}
