/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char scratch[4096]; /* one a process */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
  (void)st, (void)type, (void)where;
  return remove(path);
}

static void remove_scratch(void)
{
  nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int fuzz_scratch(void)
{
  const char *folder = getenv("FUZZ_SCRATCH");
  if (!folder)
    folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  snprintf(scratch, sizeof(scratch), "%s/systracker-fuzz.XXXXXX", folder);
  FUZZ_ASSERT(mkdtemp(scratch) != NULL);
  atexit(remove_scratch);
  int fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  FUZZ_ASSERT(fd >= 0);
  return fd;
}

void fuzz_seed(const char *name, const void *data, size_t length)
{
  const char *folder = getenv("FUZZ_SEEDS");
  ST_AUTO_FREE char *path = NULL;
  if (!folder || asprintf(&path, "%s/%s", folder, name) < 0)
    return;
  FILE *f = fopen(path, "we");
  FUZZ_ASSERT(f != NULL);
  FUZZ_ASSERT(fwrite(data, 1, length, f) == length);
  FUZZ_ASSERT(fclose(f) == 0);
}

void fuzz_assert(bool holds, const char *condition, const char *file, int line)
{
  if (holds)
    return;
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
  abort();
}

void fuzz_ok(int result, const struct st_error *err, const char *call)
{
  if (result >= 0)
    return;
  fprintf(stderr, "%s: %s\n", call, st_error_text(err));
  abort();
}
