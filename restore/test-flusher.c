/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "restore/flusher.h"

#define MUCH ((uint64_t)1 << 30)

/* The disk: what it says, to the first who asks. */
static int disk_error;
static unsigned syncs;

int syncfs(int fd)
{
  (void)fd;
  __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST);
  errno = disk_error;
  return disk_error ? -1 : 0;
}

static int lowest_free(void)
{
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(fd);
  return fd;
}

/* It holds the file system by a descriptor of its own, and none when it has ended. */
static void test_ends(void **state)
{
  (void)state;
  int before = lowest_free();
  for (int round = 0; round < 50; round++) {
    struct st_flusher *f = st_flusher_new();
    int file = memfd_create("test-flusher", MFD_CLOEXEC); /* in memory, where nobody waits */
    assert_true(file >= 0);
    for (int i = 0; i < round; i++)
      st_flusher_note(f, file, i % 3 ? MUCH : 1);
    close(file);
    st_flusher_free(f);
    assert_int_equal(lowest_free(), before);
  }
}

static void test_nothing(void **state)
{
  (void)state;
  st_flusher_free(NULL);
  st_flusher_free(st_flusher_new());
  struct st_flusher *f = st_flusher_new();
  st_flusher_note(f, -1, MUCH); /* a descriptor that is none */
  st_flusher_free(f);
}

/* It is told to one only: what the thread was told is said in the end. */
static void test_disk_error(void **state)
{
  (void)state;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_flusher *f = st_flusher_new();
  int file = memfd_create("test-flusher", MFD_CLOEXEC);
  disk_error = EIO;
  syncs = 0;
  /* The thread may end before it has begun one, so that one is waited for. */
  for (st_flusher_note(f, file, MUCH); __atomic_load_n(&syncs, __ATOMIC_SEQ_CST) == 0;)
    sched_yield();
  assert_true(st_flusher_end(f, &err) < 0);
  assert_int_equal(err.code, EIO);
  st_error_clear(&err);
  disk_error = 0;
  st_flusher_note(f, file, MUCH);
  assert_true(st_flusher_end(f, &err) < 0);
  assert_int_equal(st_flush(file, NULL), 0);
  disk_error = ENOSPC;
  assert_true(st_flush(file, NULL) < 0);
  disk_error = 0;
  close(file);
  st_flusher_free(f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends), cmocka_unit_test(test_nothing),
                                     cmocka_unit_test(test_disk_error)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
