/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/base/parallel.h"
#include "systracker/base/test-scratch.h"

#define MOST 1000

struct seen {
  size_t piece, count;
  unsigned char times[MOST];
};

/* No two threads are handed the same, so nothing is locked. */
static void see(void *arg, size_t from, size_t to)
{
  struct seen *s = arg;
  if (from >= to || to - from > s->piece || to > s->count)
    abort();
  for (size_t i = from; i < to; i++)
    s->times[i]++;
}

static void test_each_once(void **state)
{
  static const size_t counts[] = {0, 1, 7, 8, 9, MOST}, pieces[] = {1, 8, MOST};
  (void)state;
  for (size_t i = 0; i < ST_COUNT(counts); i++) {
    for (size_t k = 0; k < ST_COUNT(pieces); k++) {
      struct seen s = {.piece = pieces[k], .count = counts[i]};
      st_parallel(s.count, s.piece, see, &s);
      for (size_t n = 0; n < MOST; n++)
        assert_int_equal(s.times[n], n < s.count);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_once)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
