// What a WebAssembly function in C needs; docs/WASM.md says what it means.
//
//	clang --target=wasm32 -mbulk-memory -O2 -nostdlib -Wl,--no-entry -o f.wasm f.c
#ifndef RFAAS_H
#define RFAAS_H

#if defined(__wasi__) || defined(__EMSCRIPTEN__) // there is a C library
#include <stdint.h>
#include <stdlib.h>
#else
typedef unsigned char uint8_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#endif

#ifdef __cplusplus
#define RFAAS_C extern "C"
#else
#define RFAAS_C
#endif

// An entry point: int32_t NAME(const uint8_t *in, uint32_t in_len, uint8_t *out, uint32_t out_cap).
// It returns the length of its result, or rfaas_error(out, "what is wrong").
#define RFAAS_FUNCTION(name)                                                   \
  RFAAS_C __attribute__((export_name(#name))) int32_t name(                    \
      const uint8_t *in, uint32_t in_len, uint8_t *out, uint32_t out_cap)

static inline int32_t rfaas_error(uint8_t *out, const char *message) {
  uint32_t n = 0;
  for (; message[n] != 0 && n < 1024; n++)
    out[n] = (uint8_t)message[n];
  return ~(int32_t)n;
}

// The host's areas. Include this header in one file only.
#if defined(__wasi__) || defined(__EMSCRIPTEN__)

RFAAS_C __attribute__((export_name("rfaas_alloc"))) void *rfaas_alloc(uint32_t size) {
  return aligned_alloc(16, ((size_t)size + 15) & ~(size_t)15);
}

#else // from the end of the data upwards

extern uint8_t __heap_base;
static uint32_t rfaas_end;

RFAAS_C __attribute__((export_name("rfaas_alloc"))) void *rfaas_alloc(uint32_t size) {
  if (rfaas_end == 0)
    rfaas_end = ((uint32_t)&__heap_base + 15) & ~15u;
  uint64_t end = ((uint64_t)rfaas_end + size + 15) & ~15ull;
  uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) << 16;
  if (end > have &&
      __builtin_wasm_memory_grow(0, (uint32_t)((end - have + 65535) >> 16)) == (unsigned long)-1)
    return 0;
  void *area = (void *)rfaas_end;
  rfaas_end = (uint32_t)end;
  return area;
}

#endif
#endif
