/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-chunker.c - where contents are cut, and the lists of what was cut. */
#include "config.h"

#include "systracker/store/test-scratch.h"

#define LENGTH (24U << 20)
#define CUTS_MAX (LENGTH / ST_CHUNK_MIN + 1)

static size_t cut_all(const char *data, size_t length, size_t *cuts)
{
  size_t n = 0;
  for (size_t at = 0; at < length; n++) {
    size_t left = length - at, cut = st_chunk_cut(data + at, left);
    assert_true(cut > 0 && cut <= left && cut <= ST_CHUNK_MAX);
    assert_true(cut > ST_CHUNK_MIN || cut == left);
    at += cut;
    cuts[n] = at;
  }
  return n;
}

/* The places are part of the format. */
static void test_places(void **state)
{
  (void)state;
  static const size_t known[] = {1235628, 2306340, 3536856, 4686652,  5573474,
                                 6897710, 8444488, 9711305, 10825374, 12067486};
  ST_AUTO_FREE char *data = st_malloc(LENGTH);
  size_t cuts[CUTS_MAX];
  noise(data, LENGTH, 1);
  size_t n = cut_all(data, LENGTH, cuts);
  for (size_t i = 0; i < ST_COUNT(known); i++)
    assert_int_equal(cuts[i], known[i]);
  print_message("chunks of noise: %zu bytes on the average\n", LENGTH / n);
  assert_true(LENGTH / n > ST_CHUNK_AVERAGE / 2 && LENGTH / n < ST_CHUNK_AVERAGE * 2);
}

/* Some bytes put in shift everything, and most of the cuts are found again. */
static void test_found_again(void **state)
{
  (void)state;
  ST_AUTO_FREE char *data = st_malloc(LENGTH), *moved = st_malloc(LENGTH + 3);
  size_t cuts[CUTS_MAX], others[CUTS_MAX], same = 0;
  noise(data, LENGTH, 2);
  memcpy(moved, data, LENGTH / 2);
  memcpy(moved + LENGTH / 2, "new", 3);
  memcpy(moved + LENGTH / 2 + 3, data + LENGTH / 2, LENGTH / 2);
  size_t n = cut_all(data, LENGTH, cuts), m = cut_all(moved, LENGTH + 3, others);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < m; j++)
      same += others[j] == cuts[i] + (cuts[i] > LENGTH / 2 ? 3 : 0);
  print_message("%zu of %zu cuts are found again\n", same, n);
  assert_true(same >= n - 3);
}

static void test_zeros(void **state)
{
  (void)state;
  ST_AUTO_FREE char *data = st_calloc(1, LENGTH);
  size_t cuts[CUTS_MAX];
  assert_int_equal(cut_all(data, LENGTH, cuts), LENGTH / ST_CHUNK_MAX);
  data[0] = 1; /* so that the zeros behind are hashed: they never hash to a cut */
  assert_int_equal(cut_all(data, LENGTH, cuts), LENGTH / ST_CHUNK_MAX);
  assert_int_equal(st_chunk_cut(data, 1), 1);
  assert_int_equal(st_chunk_cut(data, ST_CHUNK_MIN), ST_CHUNK_MIN);
}

static struct st_chunk make_chunk(uint8_t seed, uint64_t times, uint32_t length)
{
  struct st_chunk chunk = {.times = times, .length = length};
  memset(chunk.id.digest, seed, sizeof chunk.id.digest);
  return chunk;
}

static void test_lists(void **state)
{
  (void)state;
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  struct st_record record = {.encoding = ST_ENCODING_LIST, .raw = 5 + 3 * 200000 + (1 << 24)};
  const struct st_chunk chunks[] = {make_chunk(1, 1, 5), make_chunk(2, 3, 200000),
                                    make_chunk(3, 1, 1 << 24)};
  for (size_t i = 0; i < ST_COUNT(chunks); i++)
    st_chunklist_add(&list, &chunks[i]);
  size_t at = 0;
  struct st_chunk chunk;
  for (size_t i = 0; i < ST_COUNT(chunks); i++) {
    assert_int_equal(st_chunklist_next(list.data, list.length, 0, &at, &chunk), 1);
    assert_true(st_id_equal(&chunk.id, &chunks[i].id) && chunk.length == chunks[i].length &&
                chunk.times == chunks[i].times);
  }
  assert_int_equal(st_chunklist_next(list.data, list.length, 0, &at, &chunk), 0);
  assert_true(st_chunklist_fits(&record, list.data, list.length));
  for (size_t n = 0; n < list.length; n++)
    assert_false(st_chunklist_fits(&record, list.data, n));
  record.raw++;
  assert_false(st_chunklist_fits(&record, list.data, list.length));
}

static void test_malformed_lists(void **state)
{
  (void)state;
  const struct st_chunk bad[] = {
      make_chunk(1, 0, 5), make_chunk(1, 1, 0), make_chunk(1, 1, (1 << 24) + 1),
      make_chunk(1, 1ULL << 48, 1 << 24), /* their product would be 2^72 */
  };
  for (size_t i = 0; i < ST_COUNT(bad); i++) {
    ST_AUTO_BUFFER list = ST_BUFFER_INIT;
    struct st_record record = {.encoding = ST_ENCODING_LIST};
    st_chunklist_add(&list, &bad[i]);
    for (record.raw = 0; record.raw < 8; record.raw++)
      assert_false(st_chunklist_fits(&record, list.data, list.length));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_places),          cmocka_unit_test(test_found_again),
      cmocka_unit_test(test_zeros),           cmocka_unit_test(test_lists),
      cmocka_unit_test(test_malformed_lists),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
