/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hold.c - keeps what the benchmarks read in memory:
 *
 *   hold PATH...
 *
 * Maps each regular file at or below the paths, reads it in, says so by one line of JSON on
 * standard output, {"held", "files", "mb", "most_mb"}, and waits until it is ended, or its parent
 * is.  A kernel that takes back page cache that was not touched for some time leaves alone what is
 * mapped. A process may map some 65,000 (vm.max_map_count): so there is one for each 32,768 files.
 *
 * Where that were more than half of the memory that is available (BENCH_HOLD=MB: another number),
 * nothing is held: it says so, and ends.
 */
#include "config.h"

#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "systracker/base/cleanup.h"
#include "systracker/base/error.h"

#define MOST_MAPPED 32768 /* files, by one process */
#define MB ((uint64_t)1 << 20)

struct held {
  uint64_t files, bytes, part;
};

static void die(const char *what)
{
  fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
  exit(ST_EXIT_TROUBLE);
}

static void count(const FTSENT *e, struct held *sum)
{
  sum->files++;
  sum->bytes += (uint64_t)e->fts_statp->st_size;
}

/* What cannot be opened is left to those who read it; the mapping goes with the process. */
static void map(const FTSENT *e, struct held *sum)
{
  uint64_t part = sum->files / MOST_MAPPED;
  count(e, sum);
  if (part != sum->part)
    return;
  ST_AUTO_CLOSE int fd = open(e->fts_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return;
  if (mmap(NULL, (size_t)e->fts_statp->st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0) ==
      MAP_FAILED)
    die(e->fts_path);
}

static void each_file(char **paths, void (*visit)(const FTSENT *, struct held *), struct held *sum)
{
  FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  if (!fts)
    die("cannot walk");
  for (FTSENT *e = fts_read(fts); e; e = fts_read(fts)) {
    if (e->fts_info == FTS_F && e->fts_statp->st_size > 0)
      visit(e, sum);
  }
  fts_close(fts);
}

static void hold_part(char **paths, uint64_t part)
{
  struct held sum = {.part = part};
  each_file(paths, map, &sum);
}

static void end_with_parent(void)
{
  if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
    die("prctl");
}

static void wait_for_the_end(void)
{
  for (;;)
    pause();
}

/* In a process of its own, which writes a byte when all is mapped; one that failed writes none. */
static void start_part(char **paths, uint64_t part, int ready)
{
  pid_t child = fork();
  if (child < 0)
    die("cannot start a process");
  if (child > 0)
    return;
  end_with_parent();
  hold_part(paths, part);
  if (write(ready, "", 1) != 1)
    die("cannot write");
  close(ready);
  wait_for_the_end();
}

static void hold_all(char **paths, uint64_t files)
{
  uint64_t parts = files / MOST_MAPPED + 1;
  int ready[2];
  char byte;
  if (pipe2(ready, O_CLOEXEC) < 0)
    die("pipe");
  for (uint64_t part = 1; part < parts; part++)
    start_part(paths, part, ready[1]);
  close(ready[1]);
  hold_part(paths, 0);
  for (uint64_t part = 1; part < parts; part++) {
    if (read(ready[0], &byte, 1) != 1)
      exit(ST_EXIT_TROUBLE);
  }
  close(ready[0]);
}

/* proc_meminfo(5). */
static uint64_t memory_available(void)
{
  ST_AUTO_FCLOSE FILE *f = fopen("/proc/meminfo", "re");
  char line[256];
  uint64_t kib = 0;
  while (f && fgets(line, sizeof(line), f)) {
    if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
      break;
  }
  return kib << 10;
}

static uint64_t most_bytes(void)
{
  const char *wanted = getenv("BENCH_HOLD");
  return wanted && *wanted ? strtoull(wanted, NULL, 10) * MB : memory_available() / 2;
}

static void tell(bool held, const struct held *sum, uint64_t most)
{
  printf("{\"held\":%s,\"files\":%" PRIu64 ",\"mb\":%" PRIu64 ",\"most_mb\":%" PRIu64 "}\n",
         held ? "true" : "false", sum->files, sum->bytes / MB, most / MB);
  if (fflush(stdout) != 0)
    die("cannot write");
}

int main(int argc, char **argv)
{
  if (argc < 2) {
    fputs("usage: hold PATH...\n", stderr);
    return ST_EXIT_TROUBLE;
  }
  end_with_parent();
  uint64_t most = most_bytes();
  struct held sum = {0};
  each_file(argv + 1, count, &sum);
  if (sum.bytes > most) {
    tell(false, &sum, most);
    return ST_EXIT_INCOMPLETE;
  }
  hold_all(argv + 1, sum.files);
  tell(true, &sum, most);
  wait_for_the_end();
}
