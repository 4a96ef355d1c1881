/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-scratch.h - a folder made for one unit test and removed after it; and cmocka's own needs. */
#ifndef ST_BASE_TEST_SCRATCH_H
#define ST_BASE_TEST_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "systracker/base/buffer.h"
#include "systracker/base/error.h"

struct scratch {
  char *path;
  int fd; /* of the folder, readable */
};

static inline int scratch_setup(void **state)
{
  struct scratch *s = st_calloc(1, sizeof *s);
  const char *top = getenv("TMPDIR");
  s->path = st_format("%s/st-test-XXXXXX", top && *top ? top : "/tmp");
  if (!mkdtemp(s->path))
    return -1;
  s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = s;
  return s->fd < 0 ? -1 : 0;
}

static inline int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st;
  (void)ftw;
  if (type == FTW_DNR)
    chmod(path, 0700);
  return remove(path);
}

static inline int scratch_teardown(void **state)
{
  struct scratch *s = *state;
  close(s->fd);
  int r = nftw(s->path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
  free(s->path);
  free(s);
  return r;
}

#define scratch_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

static inline void put_file(int dir, const char *name, const char *text)
{
  int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
}

/* The message holds these words; the error is free again. */
#define assert_error(err, words)                                                                   \
  do {                                                                                             \
    assert_non_null(strstr(st_error_text(err), words));                                            \
    st_error_clear(err);                                                                           \
  } while (0)

/* Shows the message where a call that should succeed did not. */
#define assert_ok(call, err)                                                                       \
  do {                                                                                             \
    if ((call) < 0)                                                                                \
      fail_msg("%s: %s", #call, st_error_text(err));                                               \
  } while (0)

#endif
