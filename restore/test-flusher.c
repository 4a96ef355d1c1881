/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "restore/flusher.h"

#define MUCH ((uint64_t)1 << 30)

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

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_ends), cmocka_unit_test(test_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
