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

/* ---- A stream -------------------------------------------------------------------------------- */

#define STREAM 600 /* more than the library has jobs */

/* Each content is in memory of its own from when it is taken until it is done; behind its digest
 * nothing may be written. */
struct source {
  struct fixture *f;
  const size_t *lengths;
  size_t count, taken, done, most, later;
  bool backwards; /* all that is to come is told as nothing */
  struct one {
    struct st_hash content;
    uint8_t digest[ST_DIGEST_SIZE + 1];
    bool done;
  } all[STREAM];
};

static void tell_rest(const struct source *s, uint64_t *ret_rest, uint64_t *ret_longest)
{
  *ret_rest = *ret_longest = 0;
  for (size_t i = s->taken; i < s->count && !s->backwards; i++) {
    *ret_rest += s->lengths[i];
    *ret_longest = s->lengths[i] > *ret_longest ? s->lengths[i] : *ret_longest;
  }
}

static enum st_hash_next take(void *arg, const struct st_hash **ret, uint64_t *ret_rest,
                              uint64_t *ret_longest)
{
  struct source *s = arg;
  if (s->taken == s->count)
    return ST_HASH_NONE;
  if (s->taken - s->done == s->most) {
    s->later++;
    return ST_HASH_LATER;
  }
  struct one *o = &s->all[s->taken];
  size_t length = s->lengths[s->taken++];
  char *data = length ? st_malloc(length) : NULL;
  if (data)
    memcpy(data, s->f->data + s->taken % 64, length);
  memset(o->digest, 0xa5, sizeof o->digest);
  o->content = (struct st_hash){data, length, o->digest};
  *ret = &o->content;
  tell_rest(s, ret_rest, ret_longest);
  return ST_HASH_TAKEN;
}

static void give_back(void *arg, const struct st_hash *content)
{
  struct source *s = arg;
  struct one *o = (struct one *)content;
  uint8_t expected[ST_DIGEST_SIZE];
  assert_false(o->done);
  o->done = true;
  s->done++;
  st_digest(expected, content->data, content->length);
  assert_memory_equal(o->digest, expected, ST_DIGEST_SIZE);
  assert_int_equal(o->digest[ST_DIGEST_SIZE], 0xa5);
  free((void *)content->data);
}

/* `most`: so many are out at once; no more are asked for while there are. */
static void stream(struct fixture *f, const size_t *lengths, size_t count, size_t most)
{
  for (size_t backwards = 0; backwards < 2; backwards++) {
    struct source *s = st_calloc(1, sizeof *s);
    s->f = f;
    s->lengths = lengths;
    s->count = count;
    s->most = most;
    s->backwards = backwards;
    st_hashes_stream(f->hashes, &(struct st_hash_source){take, give_back, s});
    assert_int_equal(s->taken, count);
    assert_int_equal(s->done, count);
    free(s);
  }
}

/* What is in no lane any more is given back, however long the first one takes. */
static void check_stream_is_bounded(struct fixture *f)
{
  size_t lengths[STREAM], most = 0;
  struct source *s = st_calloc(1, sizeof *s);
  for (size_t i = 0; i < STREAM; i++)
    lengths[i] = i == 0 ? ROOM : 100 + i;
  *s = (struct source){.f = f, .lengths = lengths, .count = STREAM, .most = STREAM};
  s->most = st_hashes_lanes(f->hashes) + 1;
  st_hashes_stream(f->hashes, &(struct st_hash_source){take, give_back, s});
  most = s->later;
  free(s);
  assert_int_equal(most, 0);
}

static void check_stream(struct fixture *f)
{
  static const size_t edges[] = {0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 4096};
  size_t lengths[STREAM];
  uint64_t number = 11;
  stream(f, NULL, 0, 1);
  for (size_t count = 1; count <= 40; count++) {
    for (size_t i = 0; i < count; i++)
      lengths[i] = edges[(i + count) % ST_COUNT(edges)];
    stream(f, lengths, count, STREAM);
    stream(f, lengths, count, 1 + count % 5);
  }
  for (size_t i = 0; i < STREAM; i++)
    lengths[i] = next(&number) % 20000;
  stream(f, lengths, STREAM, STREAM);
  stream(f, lengths, STREAM, 16);
  stream(f, lengths, STREAM, 7);
  lengths[0] = ROOM; /* beside it there are more than the library has jobs, and they end first */
  stream(f, lengths, STREAM, STREAM);
  lengths[STREAM - 1] = ROOM;
  stream(f, lengths, STREAM, STREAM);
  check_stream_is_bounded(f);
}

static void check_all(struct fixture *f)
{
  check_stream(f);
  st_hashes_compute(f->hashes, NULL, 0);
  check_lengths(f);
  check_ends_of_blocks(f);
  check_counts(f);
  check_large(f);
  check_edges(f);
  check_stream(f); /* and what came before has left nothing */
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
