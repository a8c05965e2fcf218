// A WebAssembly function that uses directories, without a C library.
#include "rfaas.h"

#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))

struct bytes {
  void *data;
  uint32_t size;
};

WASI(path_open)
int32_t path_open(int32_t dir, int32_t lookup, const char *path, uint32_t length, int32_t how, uint64_t rights, uint64_t inherited, int32_t flags, int32_t *fd);
WASI(path_rename)
int32_t path_rename(int32_t from, const char *old, uint32_t old_length, int32_t to, const char *name, uint32_t length);
WASI(fd_read) int32_t fd_read(int32_t fd, struct bytes *to, int32_t n, uint32_t *done);
WASI(fd_write) int32_t fd_write(int32_t fd, struct bytes *from, int32_t n, uint32_t *done);
WASI(fd_close) int32_t fd_close(int32_t fd);

enum { FIRST = 3, SECOND = 4, CREATE = 1 };
static const uint64_t READ = 1 << 1, WRITE = 1 << 6;

#define CHECK(what, call)                                                      \
  do {                                                                         \
    int32_t error = call;                                                      \
    if (error) {                                                               \
      message[sizeof message - 3] = (char)('0' + error / 10);                  \
      message[sizeof message - 2] = (char)('0' + error % 10);                  \
      message[0] = what;                                                       \
      return rfaas_error(out, message);                                        \
    }                                                                          \
  } while (0)

static char message[] = "_ failed with 00";

// copy copies the file "in" of the first directory to "sub/out" of the second one,
// and moves that up.
RFAAS_FUNCTION(copy) {
  int32_t from, to;
  uint32_t n;
  CHECK('o', path_open(FIRST, 0, (const char *)in, in_len, 0, READ, 0, 0, &from));
  struct bytes data = {out, out_cap};
  CHECK('r', fd_read(from, &data, 1, &n));
  CHECK('c', fd_close(from));
  data.size = n;
  CHECK('O', path_open(SECOND, 0, "sub/out", 7, CREATE, WRITE, 0, 0, &to));
  CHECK('w', fd_write(to, &data, 1, &n));
  CHECK('C', fd_close(to));
  CHECK('m', path_rename(SECOND, "sub/out", 7, SECOND, "out", 3));
  return (int32_t)n;
}
