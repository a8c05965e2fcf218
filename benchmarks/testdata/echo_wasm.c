// An echo for WebAssembly, to be compared with those of other runtimes. In the
// repository's top folder:
//
//	clang --target=wasm32 -mbulk-memory -O2 -nostdlib -Wl,--no-entry -I examples/wasm -o echo.wasm benchmarks/testdata/echo_wasm.c
#include "rfaas.h"

RFAAS_FUNCTION(echo) {
  if (in_len <= out_cap)
    __builtin_memcpy(out, in, in_len);
  return (int32_t)in_len;
}
