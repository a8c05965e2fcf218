// What rfaas.h promises, tried with the functions of functions.c, of which argv[1] has the file.
#define _GNU_SOURCE
#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <rfaas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define CHECK(condition)                                                                              \
  do                                                                                                  \
    if (!(condition)) {                                                                               \
      fprintf(stderr, "%s:%d: not so: %s; the last error: %s\n", __FILE__, __LINE__, #condition, rfaas_error()); \
      exit(1);                                                                                        \
    }                                                                                                 \
  while (0)
#define SAYS(text) CHECK(strstr(rfaas_error(), text))

static rfaas *cluster;
static rfaas_pool *pool;
static size_t n;

static rfaas_call *begin_pause(uint32_t *ms, uint32_t *out, int64_t timeout) {
  rfaas_call *call;
  CHECK(rfaas_begin(pool, "pause_ms", ms, sizeof *ms, out, sizeof *out, timeout, &call) == RFAAS_OK);
  return call;
}

static void mistakes(void) {
  char out[8];
  rfaas_config two = {.manager = "http://127.0.0.1:1", .agents = "unix:@x"}, unknown = {.agents = "unix:@x", .transport = "smoke:"};
  rfaas *none;
  CHECK(rfaas_connect(&two, &none) == RFAAS_INVALID && none == NULL);
  SAYS("both a manager and agents");
  rfaas_config device = {.agents = "unix:@x", .transport = "verbs:"}, token = {.agents = "unix:@x", .token_file = "/nowhere"};
  CHECK(rfaas_connect(&device, &none) == RFAAS_INVALID);
  SAYS("RFAAS_TRUST_NETWORK=1");
  CHECK(rfaas_connect(&token, &none) == RFAAS_FAILED);
  SAYS("token_file: open /nowhere");
  CHECK(rfaas_connect(&unknown, &none) == RFAAS_FAILED);
  SAYS("smoke");
  CHECK(rfaas_connect(NULL, NULL) == RFAAS_INVALID);
  rfaas_order negative = {.workers = -1}, missing = {.code = "/nowhere/f.so"}, strange = {.mode = "cold"};
  rfaas_pool *no;
  CHECK(rfaas_lease(cluster, &negative, &no) == RFAAS_INVALID && no == NULL);
  SAYS("workers: -1: must not be negative");
  CHECK(rfaas_lease(cluster, &missing, &no) == RFAAS_FAILED);
  SAYS("/nowhere/f.so");
  CHECK(rfaas_lease(cluster, &strange, &no) == RFAAS_FAILED);
  SAYS("cold");
  rfaas_order many = {.workers = 1000, .timeout = 200 * MS};
  CHECK(rfaas_lease(cluster, &many, &no) != RFAAS_OK);
  CHECK(rfaas_invoke(NULL, "echo", NULL, 0, NULL, 0, NULL, RFAAS_FOREVER) == RFAAS_INVALID);
  CHECK(rfaas_invoke(pool, "echo", NULL, 1, out, 8, NULL, RFAAS_FOREVER) == RFAAS_INVALID);
  CHECK(rfaas_wait_any(NULL, 0, &n, 0) == RFAAS_INVALID);
  CHECK(rfaas_invoke(pool, "nothing", "", 0, out, 8, &n, RFAAS_FOREVER) == RFAAS_NOT_FOUND);
  SAYS("nothing");
  rfaas_release(NULL);
  rfaas_close(NULL);
  rfaas_free(NULL);
}

static void calls(void) {
  char in[8] = "input", out[8] = "";
  CHECK(rfaas_invoke(pool, "echo", in, 5, out, sizeof out, &n, RFAAS_FOREVER) == RFAAS_OK && n == 5 && !memcmp(out, "input", 5));
  CHECK(rfaas_invoke(pool, "echo", in, 0, NULL, 0, NULL, 60000 * MS) == RFAAS_OK);
  CHECK(rfaas_invoke(pool, "echo", in, 5, out, 4, &n, RFAAS_FOREVER) == RFAAS_TOO_LARGE);
  CHECK(rfaas_invoke(pool, "echo", in, 5, out, SIZE_MAX, &n, RFAAS_FOREVER) == RFAAS_OK && n == 5); // room enough
  CHECK(rfaas_invoke(pool, "echo", in, SIZE_MAX, out, sizeof out, &n, RFAAS_FOREVER) == RFAAS_TOO_LARGE);
  SAYS("payload_bytes");
  rfaas_call *call;
  CHECK(rfaas_begin(pool, "echo", in, SIZE_MAX, out, sizeof out, RFAAS_FOREVER, &call) == RFAAS_TOO_LARGE && call == NULL);
  CHECK(rfaas_begin(pool, "echo", in, 5, out, SIZE_MAX, RFAAS_FOREVER, &call) == RFAAS_OK);
  CHECK(rfaas_wait(call, &n, RFAAS_FOREVER) == RFAAS_OK && n == 5);
  rfaas_free(call);
  size_t large = 3 << 20;
  char *big = malloc(large), *copy = malloc(large);
  for (size_t i = 0; i < large; i++)
    big[i] = (char)(i * 7);
  CHECK(rfaas_invoke(pool, "echo", big, large, copy, large, &n, RFAAS_FOREVER) == RFAAS_OK && n == large && !memcmp(big, copy, n));
  free(big);
  free(copy);
  uint32_t ms = 60000;
  CHECK(rfaas_invoke(pool, "pause_ms", &ms, sizeof ms, out, sizeof out, &n, 20 * MS) == RFAAS_DEADLINE);
  CHECK(rfaas_invoke(pool, "crash", in, 1, out, sizeof out, &n, RFAAS_FOREVER) == RFAAS_CRASHED);
  SAYS("signal");
  CHECK(rfaas_invoke(pool, "echo", in, 5, out, sizeof out, &n, RFAAS_FOREVER) == RFAAS_OK); // by another worker
}

// regions is how many pieces of registered memory of a size are mapped here.
static int regions(size_t size) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  unsigned long from, to;
  int count = 0;
  CHECK(maps != NULL);
  while (fgets(line, sizeof line, maps))
    count += strstr(line, "rfaas-region") && sscanf(line, "%lx-%lx", &from, &to) == 2 && to - from >= size && to - from < 2 * size;
  fclose(maps);
  return count;
}

// registered_memory: calls from and to the middle of it, and after one that was given up.
static void registered_memory(void) {
  enum { LARGE = 1 << 20 };
  void *memory, *none;
  CHECK(rfaas_alloc(NULL, 1, &memory) == RFAAS_INVALID && rfaas_alloc(cluster, 1, NULL) == RFAAS_INVALID);
  CHECK(rfaas_alloc(cluster, 0, &none) == RFAAS_INVALID && none == NULL && rfaas_alloc(cluster, SIZE_MAX, &none) == RFAAS_INVALID);
  CHECK(rfaas_alloc(cluster, SIZE_MAX / 4, &none) == RFAAS_FAILED);
  SAYS("rfaas_alloc");
  CHECK(rfaas_alloc(cluster, 4 * LARGE, &memory) == RFAAS_OK && (uintptr_t)memory % 4096 == 0);
  unsigned char *in = (unsigned char *)memory + 77, *out = in + 2 * LARGE;
  for (int i = 0; i < LARGE; i++) {
    CHECK(out[i] == 0);
    in[i] = (unsigned char)(i * 7);
  }
  CHECK(rfaas_invoke(pool, "echo", in, LARGE, out, LARGE, &n, RFAAS_FOREVER) == RFAAS_OK && n == LARGE && !memcmp(in, out, LARGE));
  CHECK(out[-1] == 0 && out[LARGE] == 0);
  CHECK(rfaas_invoke(pool, "echo", in, 10, out + LARGE, 10, &n, RFAAS_FOREVER) == RFAAS_OK && n == 10 && !memcmp(in, out + LARGE, 10));
  CHECK(rfaas_invoke(pool, "echo", in, LARGE, out, LARGE / 2, &n, RFAAS_FOREVER) == RFAAS_TOO_LARGE);
  memset(out, 0, LARGE);
  rfaas_call *calls[2];
  for (int i = 0; i < 2; i++)
    CHECK(rfaas_begin(pool, "echo", in, LARGE / 2, out + i * LARGE / 2, LARGE / 2, RFAAS_FOREVER, &calls[i]) == RFAAS_OK);
  for (int i = 0; i < 2; i++) {
    CHECK(rfaas_wait(calls[i], &n, RFAAS_FOREVER) == RFAAS_OK && n == LARGE / 2 && !memcmp(in, out + i * LARGE / 2, LARGE / 2));
    rfaas_free(calls[i]);
  }
  uint32_t *ms = memory;
  *ms = 60000;
  CHECK(rfaas_invoke(pool, "pause_ms", ms, LARGE, out, LARGE, &n, 20 * MS) == RFAAS_DEADLINE);
  CHECK(rfaas_invoke(pool, "echo", in, LARGE, out, LARGE, &n, RFAAS_FOREVER) == RFAAS_OK && !memcmp(in, out, LARGE));
  CHECK(regions(4 * LARGE) == 1);
  rfaas_dealloc(cluster, memory);
  CHECK(regions(4 * LARGE) == 0);
  rfaas_dealloc(cluster, NULL);
  CHECK(rfaas_invoke(pool, "echo", "x", 1, &ms, sizeof ms, &n, RFAAS_FOREVER) == RFAAS_OK);
  CHECK(rfaas_alloc(cluster, LARGE, &memory) == RFAAS_OK); // freed with the connection
}

static void calls_under_way(void) {
  uint32_t longer = 60000, ms[3] = {300, 1, 300}, out[3];
  rfaas_call *calls[4] = {NULL};
  for (int i = 0; i < 3; i++)
    calls[i] = begin_pause(&ms[i], &out[i], RFAAS_FOREVER);
  size_t at;
  for (int ended = 0; ended < 3; ended++) {
    CHECK(rfaas_wait_any(calls, 4, &at, RFAAS_FOREVER) == RFAAS_OK && at < 3);
    CHECK(rfaas_test(calls[at], &n) == RFAAS_OK && n == 4 && out[at] == ms[at]);
    rfaas_free(calls[at]);
    calls[at] = NULL;
  }
  rfaas_call *call = begin_pause(&longer, out, RFAAS_FOREVER);
  CHECK(rfaas_test(call, NULL) == RFAAS_UNFINISHED);
  CHECK(rfaas_wait(call, NULL, 5 * MS) == RFAAS_UNFINISHED);
  CHECK(rfaas_wait_any(&call, 1, &at, 5 * MS) == RFAAS_UNFINISHED);
  rfaas_cancel(call);
  CHECK(rfaas_wait(call, &n, RFAAS_FOREVER) == RFAAS_CANCELED && n == 0 && rfaas_call_error(call)[0]);
  rfaas_cancel(call);
  rfaas_free(call);
  rfaas_free(begin_pause(&longer, out, RFAAS_FOREVER)); // which ends it
  call = begin_pause(&longer, out, 20 * MS);
  CHECK(rfaas_wait(call, &n, RFAAS_FOREVER) == RFAAS_DEADLINE);
  rfaas_free(call);
}

static void many(void) {
  enum { COUNT = 3000 };
  static uint32_t in[COUNT], out[COUNT];
  static rfaas_item items[COUNT];
  for (uint32_t i = 0; i < COUNT; i++) {
    in[i] = i;
    items[i] = (rfaas_item){.in = &in[i], .in_bytes = 4, .out = &out[i], .room = i == 1000 ? 3 : 4};
  }
  CHECK(rfaas_invoke_many(pool, "echo", items, COUNT, RFAAS_FOREVER) == RFAAS_TOO_LARGE);
  for (uint32_t i = 0; i < COUNT; i++)
    CHECK(i == 1000 ? items[i].status == RFAAS_TOO_LARGE : items[i].status == RFAAS_OK && items[i].result_bytes == 4 && out[i] == i);
  CHECK(rfaas_invoke_many(pool, "echo", items, 10, 0) == RFAAS_DEADLINE);
  SAYS("time is over");
  CHECK(rfaas_invoke_many(pool, "echo", NULL, 0, RFAAS_FOREVER) == RFAAS_OK);
}

// fail_often makes calls that fail, in both ways.
static void fail_often(void) {
  for (int i = 0; i < 1000; i++) {
    rfaas_call *call;
    CHECK(rfaas_begin(pool, "nothing", "", 0, NULL, 0, RFAAS_FOREVER, &call) == RFAAS_OK);
    CHECK(rfaas_wait(call, NULL, RFAAS_FOREVER) == RFAAS_NOT_FOUND);
    rfaas_free(call);
    CHECK(rfaas_invoke(pool, "nothing", "", 0, NULL, 0, NULL, RFAAS_FOREVER) == RFAAS_NOT_FOUND);
  }
}

// leaks counts what malloc has given: AddressSanitizer sees pointers that Go has not collected yet.
static void leaks(void) {
  fail_often();
  size_t before = mallinfo2().uordblks;
  fail_often();
  size_t after = mallinfo2().uordblks;
  if (after > before + 16 * 1024) {
    fprintf(stderr, "malloc had given %zu bytes, and %zu after 2000 calls more\n", before, after);
    exit(1);
  }
}

static void *in_a_thread(void *number) {
  for (uint32_t i = 0; i < 500; i++) {
    uint32_t in = i ^ (uint32_t)(uintptr_t)number << 16, out = 0;
    size_t bytes;
    CHECK(rfaas_invoke(pool, "echo", &in, 4, &out, 4, &bytes, RFAAS_FOREVER) == RFAAS_OK && bytes == 4 && in == out);
  }
  CHECK(rfaas_invoke(NULL, "", NULL, 0, NULL, 0, NULL, 0) == RFAAS_INVALID);
  SAYS("rfaas_invoke"); // of this thread
  return NULL;
}

static void threads(void) {
  pthread_t all[4];
  for (uintptr_t i = 0; i < 4; i++)
    CHECK(pthread_create(&all[i], NULL, in_a_thread, (void *)i) == 0);
  for (int i = 0; i < 4; i++)
    CHECK(pthread_join(all[i], NULL) == 0);
}

struct attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

enum { PROGRAMS_SLICE = 3000000, LIBRARYS_SLICE = 100000 };

// choose_slice gives this thread a slice of its own, which the library is to leave alone.
static void choose_slice(void) {
  struct attributes a = {.size = sizeof a, .runtime = PROGRAMS_SLICE};
  CHECK(syscall(SYS_sched_setattr, 0, &a, 0) == 0);
}

// slices: threads of the library have shorter ones than the program's, where that can be told.
static void slices(void) {
  struct attributes a;
  int id, shorter = 0, major = 0, minor = 0;
  struct utsname kernel;
  CHECK(uname(&kernel) == 0 && sscanf(kernel.release, "%d.%d", &major, &minor) == 2);
  if (major < 6 || (major == 6 && minor < 12))
    return;
  DIR *tasks = opendir("/proc/self/task");
  CHECK(tasks != NULL);
  for (struct dirent *task; (task = readdir(tasks));)
    if ((id = atoi(task->d_name)) > 0 && syscall(SYS_sched_getattr, id, &a, sizeof a, 0) == 0) {
      CHECK(id != getpid() || a.runtime == PROGRAMS_SLICE);
      shorter += a.runtime == LIBRARYS_SLICE;
    }
  closedir(tasks);
  CHECK(shorter >= 3);
}

static void forks(void) {
  pid_t child = fork();
  if (child == 0) {
    rfaas *none;
    int right = rfaas_connect(NULL, &none) == RFAAS_FORKED && strstr(rfaas_error(), "forked") &&
                rfaas_invoke(pool, "echo", "", 0, NULL, 0, NULL, RFAAS_FOREVER) == RFAAS_FORKED;
    rfaas_release(pool);
    rfaas_close(cluster);
    _exit(right ? 0 : 1);
  }
  int status;
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  CHECK(rfaas_invoke(pool, "echo", "", 0, NULL, 0, NULL, RFAAS_FOREVER) == RFAAS_OK);
}

int main(int argc, char **argv) {
  choose_slice();
  rfaas_order order = {.code = argv[argc - 1], .workers = 2, .payload_bytes = 16 << 20};
  CHECK(rfaas_connect(NULL, &cluster) == RFAAS_OK);
  CHECK(rfaas_lease(cluster, &order, &pool) == RFAAS_OK);
  mistakes();
  calls();
  registered_memory();
  calls_under_way();
  many();
  leaks();
  slices();
  threads();
  forks();
  uint32_t longer = 60000, out;
  rfaas_call *call = begin_pause(&longer, &out, RFAAS_FOREVER);
  rfaas_release(pool);
  CHECK(rfaas_wait(call, NULL, RFAAS_FOREVER) == RFAAS_CLOSED);
  rfaas_cancel(call);
  rfaas_free(call);
  rfaas_close(cluster);
  puts("all is as rfaas.h says");
}
