// What the two halves of the library share.
#ifndef SHIM_H
#define SHIM_H

#include "rfaas.h"

enum { CALL_RUNS, CALL_IS_AWAITED, CALL_HAS_ENDED };

struct rfaas_call {
  uint32_t state; // atomic; what follows is there once the call has ended
  int status;
  uint32_t code;
  size_t bytes;
  char *message; // may be NULL
  uintptr_t pool;
  uint32_t slot; // of the pool, with what cancels it
};

// ended_calls counts calls that have ended, waiters who waits for that: both atomic.
extern uint32_t ended_calls, waiters;

#endif
