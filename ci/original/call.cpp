// call LIBRARY FUNCTION: calls it with the standard input, and writes a file "result".
#include <cstdint>
#include <cstdio>
#include <dlfcn.h>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

int main(int argc, char **argv) {
  void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : nullptr;
  auto function = library ? reinterpret_cast<uint32_t (*)(void *, uint32_t, void *)>(dlsym(library, argv[2])) : nullptr;
  if (!function) {
    std::cerr << dlerror() << std::endl;
    return 1;
  }
  std::string in(std::istreambuf_iterator<char>(std::cin), {});
  std::vector<char> out(1 << 24);
  uint32_t n = function(&in[0], in.size(), out.data());
  fflush(stdout); // what the function prints
  FILE *result = fopen("result", "wb");
  return !result || fwrite(out.data(), 1, n, result) != n || fclose(result) != 0;
}
