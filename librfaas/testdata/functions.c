// Functions for test.c.
#include <stdint.h>
#include <string.h>
#include <unistd.h>

uint32_t echo(void *args, uint32_t size, void *res) {
  memcpy(res, args, size);
  return size;
}

// pause sleeps as many milliseconds as its input says.
uint32_t pause_ms(void *args, uint32_t size, void *res) {
  uint32_t ms = *(uint32_t *)args;
  (void)size;
  usleep(1000 * ms);
  memcpy(res, &ms, sizeof ms);
  return sizeof ms;
}

uint32_t crash(void *args, uint32_t size, void *res) {
  (void)args, (void)size, (void)res;
  __builtin_trap();
}
