#define _GNU_SOURCE
#include "driver.h"

#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIST = 64, EXIT_USAGE = 2 };

typedef struct list {
  int values[LIST];
  int count;
} list;

typedef struct options {
  long size;
  list executors, ranks;
  char functions[4096];
  const char *at_half;
} options;

static const program *the;  // program
static int world, of_world; // this rank, and how many there are

long first_of(long n, int rank, int ranks) { return n * rank / ranks; }

// stop ends all ranks because of what the user asked for. All of them find it, and one says it.
__attribute__((format(printf, 1, 2), noreturn)) static void stop(const char *format, ...) {
  if (world == 0) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", the->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
  }
  MPI_Finalize();
  exit(EXIT_USAGE);
}

static long number(const char *option, const char *text, long least, long most) {
  char *end;
  long n = strtol(text, &end, 10);
  if (end == text || *end || n < least || n > most)
    stop("--%s: \"%s\": want a number from %ld to %ld", option, text, least, most);
  return n;
}

static list numbers(const char *option, const char *text, long least, long most) {
  list l = {.count = 0};
  char *copy = strdup(text), *rest = copy;
  for (char *one; (one = strsep(&rest, ","));) {
    if (l.count == LIST)
      stop("--%s: more than %d numbers", option, LIST);
    l.values[l.count++] = (int)number(option, one, least, most);
  }
  free(copy);
  return l;
}

// beside sets the file of functions to the one in the program's folder.
static void beside(options *o) {
  ssize_t n = readlink("/proc/self/exe", o->functions, sizeof o->functions - sizeof "functions.so");
  o->functions[n < 0 ? 0 : n] = 0;
  char *slash = strrchr(o->functions, '/');
  strcpy(slash ? slash + 1 : o->functions, "functions.so");
}

static options parse(int argc, char **argv) {
  static const struct option known[] = {
      {"size", required_argument, NULL, 's'},      {"executors", required_argument, NULL, 'e'},
      {"ranks", required_argument, NULL, 'r'},     {"functions", required_argument, NULL, 'f'},
      {"at-half", required_argument, NULL, 'h'},   {0},
  };
  options o = {.size = the->size, .executors = {.values = {0, 1}, .count = 2}};
  beside(&o);
  for (int r = 1; r <= of_world && r <= LIST; r++)
    o.ranks.values[o.ranks.count++] = r;
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, "", known, NULL)) >= 0;)
    switch (c) {
    case 's':
      o.size = number("size", optarg, the->least, the->most);
      break;
    case 'e':
      o.executors = numbers("executors", optarg, 0, 1024);
      break;
    case 'r':
      o.ranks = numbers("ranks", optarg, 1, of_world);
      break;
    case 'f':
      if (strlen(optarg) >= sizeof o.functions)
        stop("--functions: the name is too long");
      strcpy(o.functions, optarg);
      break;
    case 'h':
      o.at_half = optarg;
      break;
    default:
      stop("%s: want --size N (%s) --executors N,N... (of each rank) --ranks N,N... --functions FILE --at-half COMMAND",
           argv[optind - 1], the->unit);
    }
  if (optind < argc)
    stop("%s: want options only", argv[optind]);
  for (int i = 0; i < o.ranks.count; i++)
    if (o.size < o.ranks.values[i])
      stop("--size: %ld: want %d at least, one for each rank", o.size, o.ranks.values[i]);
  if (access(o.functions, R_OK) != 0)
    stop("--functions: %s cannot be read: it is what `make` builds of src/functions.c", o.functions);
  return o;
}

// meet waits for all ranks, also for those that compute: an ordinary barrier would take a core from them.
static void meet(void) {
  MPI_Request all;
  MPI_Ibarrier(MPI_COMM_WORLD, &all);
  for (int done = 0; !done;) {
    MPI_Test(&all, &done, MPI_STATUS_IGNORE);
    if (!done)
      nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
}

// What --at-half asks for, at rank 0.
static struct {
  const char *command; // NULL: nothing, or it was begun
  size_t items;        // after so many of the rank's
  pthread_t thread;
  int begun, status;
} at_half;

static void *carry_out(void *command) {
  at_half.status = system(command);
  return NULL;
}

// begin_at_half has another thread carry the command out, so that there are calls under way all the time.
static void begin_at_half(offload *o) {
  if (!at_half.command || o->by_executors + o->by_rank < at_half.items)
    return;
  at_half.begun = pthread_create(&at_half.thread, NULL, carry_out, (void *)at_half.command) == 0;
  at_half.command = NULL;
}

// end_at_half waits for the command, and says whether it succeeded.
static int end_at_half(void) {
  if (!at_half.begun)
    return 1;
  at_half.begun = 0;
  pthread_join(at_half.thread, NULL);
  if (at_half.status != 0)
    fprintf(stderr, "%s: --at-half: the command failed: exit status %d\n", the->name,
            at_half.status != -1 && WIFEXITED(at_half.status) ? WEXITSTATUS(at_half.status) : -1);
  return at_half.status == 0;
}

// gather collects at rank 0 the numbers of all ranks: those of rank 0 are there.
static void gather(const part *me, double *results) {
  int counts[me->ranks], from[me->ranks], total = 0;
  for (int r = 0; r < me->ranks; r++) {
    part other = {.size = me->size, .rank = r, .ranks = me->ranks};
    counts[r] = (int)the->results(&other);
    from[r] = total;
    total += counts[r];
  }
  if (me->rank == 0)
    MPI_Gatherv(MPI_IN_PLACE, 0, MPI_DOUBLE, results, counts, from, MPI_DOUBLE, 0, me->comm);
  else
    MPI_Gatherv(results, counts[me->rank], MPI_DOUBLE, NULL, NULL, NULL, MPI_DOUBLE, 0, me->comm);
}

static double difference(const double *a, const double *b, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; i++) {
    double d = fabs(a[i] - b[i]);
    if (!(d <= largest)) // also if it is no number
      largest = d;
  }
  return largest;
}

// spoil fills memory with what no program computes, and has the system give it now.
static void spoil(double *results, size_t count) {
  for (size_t i = 0; i < count; i++)
    results[i] = NAN;
}

// measure solves the problem on the ranks of a communicator. Rank 0 prints a line, and gets whether the result is right.
static int measure(const part *me, const options *o, rfaas *cluster, int executors, double serial_seconds, const double *expected, double *results) {
  offload workers = {0};
  size_t count = the->results(me);
  if (me->rank > 0)
    results = offload_alloc(count * sizeof *results);
  spoil(results, count);
  if (executors > 0 && cluster && offload_open(&workers, cluster, o->functions, executors, the->in_bytes(me->size), the->room(me->size)) != RFAAS_OK)
    fprintf(stderr, "%s: rank %d has no executors and goes on alone: %s\n", the->name, me->rank, rfaas_error());
  void *context = the->begin(me);
  workers.watch = begin_at_half;
  at_half.items = the->items(context) / 2;

  MPI_Barrier(me->comm);
  double begin = MPI_Wtime();
  the->run(context, me, &workers, results);
  gather(me, results);
  double seconds = MPI_Wtime() - begin;

  int succeeded = end_at_half();
  the->end(context);
  offload_close(&workers);
  unsigned long mine[] = {workers.by_executors, workers.by_rank, workers.lost}, sum[3];
  MPI_Reduce(mine, sum, 3, MPI_UNSIGNED_LONG, MPI_SUM, 0, me->comm);
  if (me->rank > 0) {
    free(results);
    return succeeded;
  }
  double d = difference(results, expected, the->results(&(part){.size = me->size, .ranks = 1}));
  printf("%5d  %9d  %8.3f  %5.2f  %12lu  %8lu  %5lu  %g%s\n", me->ranks, executors, seconds, serial_seconds / seconds, sum[0], sum[1], sum[2], d, d == 0 ? "" : "  WRONG");
  fflush(stdout);
  return succeeded && d == 0;
}

// serial solves the problem without MPI, and returns the time that it took.
static double serial(const part *one, double *results, int *right) {
  printf("%s, %ld %s\n", the->name, one->size, the->unit);
  spoil(results, the->results(one));
  void *context = the->begin(one);
  double begin = MPI_Wtime();
  the->serial(context, one, results);
  double seconds = MPI_Wtime() - begin;
  the->end(context);
  *right = the->check(one->size, results);
  printf("ranks  executors   seconds  ratio  by executors  by ranks   lost  difference\n");
  printf("serial %9s  %8.3f  %5.2f\n", "", seconds, 1.0);
  fflush(stdout);
  return seconds;
}

// connect connects to where executors are leased, or says why not.
static rfaas *connect_if(const options *o) {
  rfaas *cluster = NULL;
  int wanted = 0;
  for (int i = 0; i < o->executors.count; i++)
    wanted |= o->executors.values[i] > 0;
  if (wanted && rfaas_connect(NULL, &cluster) != RFAAS_OK)
    fprintf(stderr, "%s: rank %d has no executors and goes on alone: %s\n", the->name, world, rfaas_error());
  return cluster;
}

int driver_main(int argc, char **argv, const program *p) {
  the = p;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &world);
  MPI_Comm_size(MPI_COMM_WORLD, &of_world);
  options o = parse(argc, argv);
  rfaas *cluster = connect_if(&o);
  if (world == 0)
    at_half.command = o.at_half;

  int right = 1;
  double seconds = 0, *expected = NULL, *results = NULL;
  if (world == 0) {
    part one = {.size = o.size, .ranks = 1};
    size_t count = the->results(&one);
    expected = offload_alloc(count * sizeof *expected);
    results = offload_alloc(count * sizeof *results);
    spoil(results, count);
    seconds = serial(&one, expected, &right);
  }
  for (int i = 0; i < o.ranks.count; i++) {
    part me = {.size = o.size, .ranks = o.ranks.values[i]};
    MPI_Comm_split(MPI_COMM_WORLD, world < me.ranks ? 0 : MPI_UNDEFINED, world, &me.comm);
    for (int j = 0; j < o.executors.count; j++) {
      meet(); // also so that the executors of the last run can be leased again
      if (me.comm != MPI_COMM_NULL) {
        MPI_Comm_rank(me.comm, &me.rank);
        right &= measure(&me, &o, cluster, o.executors.values[j], seconds, expected, results);
      }
    }
    if (me.comm != MPI_COMM_NULL)
      MPI_Comm_free(&me.comm);
  }
  meet();
  free(expected);
  free(results);
  rfaas_close(cluster);
  if (at_half.command) {
    fprintf(stderr, "%s: --at-half: rank 0 had no calls under way after a half of its items\n", the->name);
    right = 0;
  }
  MPI_Bcast(&right, 1, MPI_INT, 0, MPI_COMM_WORLD);
  MPI_Finalize();
  return right ? 0 : 1;
}
