/* Lease workers of the nodes that RFAAS_MANAGER or RFAAS_AGENTS names, and call a function there:
 *
 *     cc -o lease lease.c $(pkg-config --cflags --libs rfaas)
 */
#include <rfaas.h>
#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 1000 };

static void must(int status) {
  if (status != RFAAS_OK) {
    fprintf(stderr, "lease: %s\n", rfaas_error());
    exit(1);
  }
}

int main(void) {
  static char in[CALLS][32], out[CALLS][32];
  static rfaas_item calls[CALLS];
  rfaas *cluster;
  rfaas_pool *workers;
  must(rfaas_connect(NULL, &cluster));
  rfaas_order order = {.workers = 2};
  must(rfaas_lease(cluster, &order, &workers));
  for (int i = 0; i < CALLS; i++) {
    int n = snprintf(in[i], sizeof in[i], "call %d", i);
    calls[i] = (rfaas_item){.in = in[i], .in_bytes = n, .out = out[i], .room = sizeof out[i]};
  }
  must(rfaas_invoke_many(workers, "echo", calls, CALLS, RFAAS_FOREVER));
  for (int i = 0; i < CALLS; i++)
    printf("%.*s\n", (int)calls[i].result_bytes, out[i]);
  rfaas_release(workers);
  rfaas_close(cluster);
}
