/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <sys/mman.h>
#include <unistd.h>

#include "systracker/base/hashes.h"
#include "systracker/base/test-scratch.h"

#define MOST 200
#define ROOM ((size_t)9 << 20) /* bytes of what is hashed */

struct fixture {
  char *data; /* ROOM + 64 of them, that repeat nowhere soon */
  struct st_hashes *hashes;
};

/* Some numbers that are the same each time. */
static uint64_t next(uint64_t *state)
{
  *state = *state * 6364136223846793005 + 1442695040888963407;
  return *state >> 33;
}

static int setup(void **state)
{
  struct fixture *f = st_calloc(1, sizeof *f);
  uint64_t number = 1;
  f->data = st_malloc(ROOM + 64);
  for (size_t i = 0; i < ROOM + 64; i++)
    f->data[i] = (char)next(&number);
  f->hashes = st_hashes_new();
  *state = f;
  return 0;
}

static int teardown(void **state)
{
  struct fixture *f = *state;
  st_hashes_free(f->hashes);
  free(f->data);
  free(f);
  return 0;
}

/* Hashes them, at once and by libgcrypt; behind each digest nothing may be written. */
static void check(struct st_hashes *h, struct st_hash *contents, size_t count)
{
  uint8_t digests[MOST][ST_DIGEST_SIZE + 1], expected[ST_DIGEST_SIZE];
  assert_true(count <= MOST);
  memset(digests, 0xa5, sizeof digests);
  for (size_t i = 0; i < count; i++)
    contents[i].digest = digests[i];
  st_hashes_compute(h, contents, count);
  for (size_t i = 0; i < count; i++) {
    st_digest(expected, contents[i].data, contents[i].length);
    assert_memory_equal(digests[i], expected, ST_DIGEST_SIZE);
    assert_int_equal(digests[i][ST_DIGEST_SIZE], 0xa5);
  }
}

static void check_lengths(struct fixture *f)
{
  struct st_hash contents[MOST];
  for (size_t length = 0; length <= 300; length++) {
    for (size_t i = 0; i < 17; i++) /* aligned in all ways */
      contents[i] = (struct st_hash){.data = f->data + i * 301 + length % 7, .length = length};
    check(f->hashes, contents, 17);
    check(f->hashes, contents, 1);
  }
}

/* Where the padding needs another block, and where it does not. */
static void check_ends_of_blocks(struct fixture *f)
{
  struct st_hash contents[MOST];
  size_t count = 0;
  for (size_t end = 1024; end <= 65536; end *= 4) {
    for (size_t length = end - 10; length <= end + 2; length++)
      contents[count++] = (struct st_hash){.data = f->data + length % 64, .length = length};
  }
  check(f->hashes, contents, count);
}

static void check_counts(struct fixture *f)
{
  struct st_hash contents[MOST];
  uint64_t number = 7;
  for (size_t count = 0; count <= 70; count++) {
    for (size_t i = 0; i < count; i++) {
      size_t most = (size_t)1 << next(&number) % 16;
      contents[i] = (struct st_hash){f->data + next(&number) % 4096, next(&number) % most, NULL};
    }
    check(f->hashes, contents, count);
  }
}

/* Longer than a 16-bit number of blocks tells, very different ones, and more than go together. */
static void check_large(struct fixture *f)
{
  struct st_hash contents[MOST];
  for (size_t i = 0; i < 5; i++)
    contents[i] = (struct st_hash){f->data + i, ROOM - i * 65 * 1024, NULL};
  for (size_t i = 5; i < MOST; i++)
    contents[i] = (struct st_hash){f->data + i, i % 3 ? i : i * 100, NULL};
  check(f->hashes, contents, MOST);
  contents[0] = (struct st_hash){NULL, 0, NULL};
  check(f->hashes, contents, 1);
}

/* Nothing before a content and nothing behind it may be read: there it would be killed. */
static void check_edges(struct fixture *f)
{
  struct st_hash contents[MOST];
  size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 2 * page;
  char *guarded = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(guarded, MAP_FAILED);
  char *begin = guarded + page, *end = begin + room;
  assert_int_equal(mprotect(begin, room, PROT_READ | PROT_WRITE), 0);
  memcpy(begin, f->data, room);
  for (size_t length = 0; length <= room; length += length < 300 ? 1 : 509) {
    for (size_t i = 0; i < 18; i++)
      contents[i] = (struct st_hash){i % 2 ? begin : end - length, length, NULL};
    check(f->hashes, contents, 18);
    check(f->hashes, contents, 3);
  }
  munmap(guarded, room + 2 * page);
}

static void check_all(struct fixture *f)
{
  st_hashes_compute(f->hashes, NULL, 0);
  check_lengths(f);
  check_ends_of_blocks(f);
  check_counts(f);
  check_large(f);
  check_edges(f);
}

static void check_by(void **state, enum st_hashes_by by, const char *name)
{
  struct fixture *f = *state;
  if (!st_hashes_use(f->hashes, by)) {
    print_message("not with this processor or build: %s\n", name);
    skip();
  }
  check_all(f);
}

static void test_avx512(void **state)
{
  check_by(state, ST_HASHES_AVX512, "AVX-512");
  assert_int_equal(st_hashes_lanes(((struct fixture *)*state)->hashes), 16);
}

static void test_sha(void **state)
{
  check_by(state, ST_HASHES_SHA, "SHA instructions");
  assert_int_equal(st_hashes_lanes(((struct fixture *)*state)->hashes), 2);
}

static void test_avx2(void **state)
{
  check_by(state, ST_HASHES_AVX2, "AVX2");
  assert_int_equal(st_hashes_lanes(((struct fixture *)*state)->hashes), 8);
}

static void test_one_by_one(void **state)
{
  check_by(state, ST_HASHES_ONE_BY_ONE, "libgcrypt");
  assert_int_equal(st_hashes_lanes(((struct fixture *)*state)->hashes), 1);
}

/* What it takes by itself: little is hashed one by one, and then the best that there is. */
static void test_by_itself(void **state)
{
  struct fixture *f = *state;
  struct st_hash contents[] = {{f->data, 1 << 20, NULL}, {f->data, (1 << 20) - 1, NULL}};
  check(f->hashes, contents, 2);
  assert_int_equal(st_hashes_lanes(f->hashes), 1);
  check_all(f);
  ST_CLEANUP(st_hashes_freep) struct st_hashes *other = st_hashes_new();
  bool any = st_hashes_use(other, ST_HASHES_AVX512) || st_hashes_use(other, ST_HASHES_SHA) ||
             st_hashes_use(other, ST_HASHES_AVX2);
  assert_int_equal(st_hashes_lanes(f->hashes), any ? st_hashes_lanes(other) : 1);
}

static size_t apart(const size_t *lengths, size_t count)
{
  struct st_hash contents[MOST];
  const struct st_hash *sorted[MOST] = {NULL};
  for (size_t i = 0; i < count; i++) {
    contents[i] = (struct st_hash){NULL, lengths[i], NULL};
    sorted[i] = &contents[i];
  }
  return st_hashes_apart(sorted, count, 16, 70);
}

/* Lanes that nothing is in cost as much as the others. */
static void test_apart(void **state)
{
  (void)state;
  size_t lengths[MOST];
  for (size_t i = 0; i < MOST; i++)
    lengths[i] = 10000;
  assert_int_equal(apart(lengths, 0), 0);
  assert_int_equal(apart(lengths, 1), 1);
  assert_int_equal(apart(lengths, 6), 6);
  assert_int_equal(apart(lengths, 8), 0);
  assert_int_equal(apart(lengths, 16), 0);
  assert_int_equal(apart(lengths, 18), 2);
  assert_int_equal(apart(lengths, 31), 0);
  assert_int_equal(apart(lengths, 48), 0);
  lengths[0] = 1000000; /* a lane has as much as the others have in common */
  assert_int_equal(apart(lengths, 48), 1);
  lengths[0] = 20000;
  assert_int_equal(apart(lengths, 48), 0);
  lengths[0] = lengths[1] = (size_t)1 << 40;
  assert_int_equal(apart(lengths, 48), 2);
  for (size_t i = 0; i < MOST; i++)
    lengths[i] = (size_t)1 << 40; /* none of it in a lane */
  assert_int_equal(apart(lengths, 48), 48);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_avx512, setup, teardown),
      cmocka_unit_test_setup_teardown(test_sha, setup, teardown),
      cmocka_unit_test_setup_teardown(test_avx2, setup, teardown),
      cmocka_unit_test_setup_teardown(test_one_by_one, setup, teardown),
      cmocka_unit_test_setup_teardown(test_by_itself, setup, teardown),
      cmocka_unit_test(test_apart),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
