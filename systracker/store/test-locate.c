/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-locate.c - many contents read in the order in which they lie, each proved by nothing but its
 * own id. */
#include "systracker/store/test-scratch.h"

#include "systracker/store/transfer.h"

#define SMALL 300          /* contents that go into groups */
#define LARGE (5U << 20)   /* bytes: a list of chunks */
#define COUNT (SMALL + 40) /* contents in all, some of which are no small ones */

struct content {
  struct st_id id;
  char *data;
  size_t length;
};
static struct content all[COUNT];
static size_t count;

static void add(struct st_id id, char *data, size_t length)
{
  all[count++] = (struct content){id, data, length};
}

static void add_small(struct st_store *store, unsigned n)
{
  ST_AUTO_PREPARED prepared = {0};
  char *text = st_format("%0*u is a small content, the number of which is %u\n", 100 + n, n, n);
  struct st_content content = {.data = text, .length = strlen(text), .group = true};
  OK(st_store_prepare(store, &content, &prepared, err));
  OK(st_store_append(store, &prepared, err));
  add(prepared.id, text, content.length);
}

/* Half of it compresses. */
static void add_noise(struct st_store *store, size_t length, unsigned seed,
                      const struct st_id *previous)
{
  char *data = st_calloc(1, length + 1);
  noise(data, length / 2, 7); /* the same in all: a chunk, or the prefix of a delta */
  data[length / 4] = (char)seed;
  add(put(store, data, length, false, previous), data, length);
}

static int by_id(const void *a, const void *b)
{
  const struct content *x = a, *y = b;
  return st_id_compare(&x->id, &y->id);
}

static void fill(struct scratch *s)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  count = 0;
  for (unsigned n = 0; n < SMALL; n++)
    add_small(store, n);
  add_noise(store, 100000, 1, NULL);
  for (unsigned n = 2; n < 20; n++)
    add_noise(store, 100000, n, &all[count - 1].id);
  for (unsigned n = 1; n < 4; n++)
    add_noise(store, LARGE, n, NULL);
  add(put(store, "", 0, false, NULL), st_strdup(""), 0);
  sync_store(store);
  qsort(all, count, sizeof all[0], by_id);
}

static void empty(void)
{
  for (size_t i = 0; i < count; i++)
    free(all[i].data);
  count = 0;
}

static void locate(struct st_store *store, struct st_location *ret)
{
  const struct st_id *ids[COUNT];
  for (size_t i = 0; i < count; i++)
    ids[i] = &all[i].id;
  OK(st_store_locate(store, ids, count, ret, err));
}

static int add_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)err;
  st_buffer_append(arg, data, n);
  return 0;
}

/* True: it is there, exactly; else there is an error in words. */
static bool is_read(struct st_store *store, const struct content *c, const struct st_location *at)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (st_store_get_at(store, &c->id, at, add_piece, &out, &why) < 0) {
    assert_non_null(why.message);
    return false;
  }
  assert_int_equal(out.length, c->length);
  if (c->length > 0)
    assert_memory_equal(out.data, c->data, c->length);
  return true;
}

static const struct st_location *sorted_by;

static int by_place(const void *a, const void *b)
{
  const struct st_location *x = &sorted_by[*(const size_t *)a], *y = &sorted_by[*(const size_t *)b];
  return x->pack != y->pack ? (x->pack > y->pack) - (x->pack < y->pack)
                            : (x->offset > y->offset) - (x->offset < y->offset);
}

static void sort_by_place(size_t order[COUNT], const struct st_location *at)
{
  for (size_t i = 0; i < count; i++)
    order[i] = i;
  sorted_by = at;
  qsort(order, count, sizeof order[0], by_place);
}

static size_t read_in_order(struct st_store *store, const struct st_location *at)
{
  size_t order[COUNT], good = 0;
  sort_by_place(order, at);
  for (size_t i = 0; i < count; i++)
    good += is_read(store, &all[order[i]], &at[order[i]]);
  return good;
}

static bool has_encoding(const struct st_location *at, uint8_t encoding)
{
  for (size_t i = 0; i < count; i++)
    if (at[i].encoding == encoding)
      return true;
  return false;
}

static void test_in_order(void **state)
{
  struct scratch *s = *state;
  struct st_location at[COUNT];
  fill(s);
  ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
  locate(reader, at);
  assert_true(has_encoding(at, ST_ENCODING_PART) && has_encoding(at, ST_ENCODING_DELTA) &&
              has_encoding(at, ST_ENCODING_LIST) && has_encoding(at, ST_ENCODING_ZSTD));
  for (size_t i = 0; i < count; i++)
    assert_int_equal(at[i].raw, all[i].length);
  assert_int_equal(read_in_order(reader, at), count);
  for (size_t i = 0; i < count; i++) /* in another order */
    assert_true(is_read(reader, &all[i], &at[i]));
  ST_CLEANUP(st_store_closep) struct st_store *writer = open_store(s, ST_STORE_WRITE);
  assert_int_equal(read_in_order(writer, at), count);
  drop_index(s); /* what is found in the packs alone */
  ST_CLEANUP(st_store_closep) struct st_store *other = open_store(s, ST_STORE_READ);
  locate(other, at);
  assert_int_equal(read_in_order(other, at), count);
  empty();
}

static void test_few(void **state)
{
  struct scratch *s = *state;
  struct st_location at[4];
  struct st_id none = {0}, last = {0};
  memset(last.digest, 0xff, sizeof last.digest);
  fill(s);
  ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
  const struct st_id *ids[] = {&none, &all[3].id, &all[count - 2].id, &last};
  OK(st_store_locate(reader, ids, 4, at, err));
  assert_int_equal(at[0].pack, 0);
  assert_int_equal(at[3].pack, 0);
  assert_true(is_read(reader, &all[3], &at[1]));
  assert_true(is_read(reader, &all[count - 2], &at[2]));
  struct content missing = {.id = none};
  assert_false(is_read(reader, &missing, &at[0]));
  OK(st_store_locate(reader, ids, 0, at, err));
  empty();
}

/* Where something else lies by now it is looked for again. */
static void test_moved(void **state)
{
  struct scratch *s = *state;
  struct st_location at[COUNT], moved[COUNT];
  fill(s);
  ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
  locate(reader, at);
  for (size_t i = 0; i < count; i++) {
    moved[i] = at[(i + 1) % count];
    assert_true(is_read(reader, &all[i], &moved[i]));
    moved[i] = at[i];
    moved[i].offset += 1;
    assert_true(is_read(reader, &all[i], &moved[i]));
    moved[i].pack = 99;
    assert_true(is_read(reader, &all[i], &moved[i]));
  }
  empty();
}

/* Whatever byte is damaged, nothing is handed over as good that is not. */
static void test_flipped_bytes(void **state)
{
  struct scratch *s = *state;
  struct st_location at[COUNT];
  size_t lost = 0;
  fill(s);
  for (off_t i = 70, size = size_of(s, PACK); i < size; i += size / 60) {
    flip(s, PACK, i);
    ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
    locate(reader, at);
    lost += count - read_in_order(reader, at);
    flip(s, PACK, i);
  }
  assert_true(lost > 20);
  empty();
}

/* Records that were made on purpose, each intact as such: a list of the wrong chunks. */
static void test_wrong_list(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = st_calloc(1, LARGE);
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_PARCEL parcel = {0};
  struct st_location at;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  noise(data, LARGE, 3);
  struct st_id id = put(store, data, LARGE, false, NULL), other = {0};
  OK(st_store_export(store, &id, &parcel, err));
  memset(other.digest, 7, sizeof other.digest);
  parcel.record.id = other;
  OK(st_store_append_record(store, &parcel.record, parcel.payload.data, err));
  sync_store(store);
  st_store_close(store);
  store = open_store(s, ST_STORE_READ);
  const struct st_id *ids[] = {&other};
  OK(st_store_locate(store, ids, 1, &at, err));
  assert_int_equal(at.encoding, ST_ENCODING_LIST);
  assert_true(st_store_get_at(store, &other, &at, add_piece, &out, &why) < 0);
  assert_non_null(strstr(why.message, "not what its id says"));
  assert_true(out.length <= LARGE); /* handed over once */
  st_store_close(store);
}

static int refuse_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)data, (void)n;
  ++*(size_t *)arg;
  return st_fail(err, ENOSPC, "cannot write");
}

static void test_refused_piece(void **state)
{
  struct scratch *s = *state;
  struct st_location at[COUNT];
  fill(s);
  ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
  locate(reader, at);
  for (size_t i = 0; i < count; i++) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    size_t calls = 0;
    if (all[i].length == 0)
      continue;
    assert_true(st_store_get_at(reader, &all[i].id, &at[i], refuse_piece, &calls, &why) < 0);
    assert_int_equal(why.code, ENOSPC);
    assert_int_equal(calls, 1);
  }
  empty();
}

/* All at once, and each that is not proved by itself: how many are there, exactly. */
static size_t read_together(struct st_store *store, const struct st_location *at,
                            size_t *ret_together)
{
  ST_CLEANUP(st_hashes_freep) struct st_hashes *hashes = st_hashes_new();
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_asked asked[COUNT];
  size_t good = 0, order[COUNT];
  *ret_together = 0;
  sort_by_place(order, at);
  for (size_t i = 0; i < count; i++)
    asked[i] = (struct st_asked){.id = &all[order[i]].id, .at = &at[order[i]], .proved = true};
  st_store_get_several(store, hashes, asked, count, &out);
  for (size_t i = 0; i < count; i++) {
    const struct content *c = &all[order[i]];
    if (!asked[i].proved) {
      good += is_read(store, c, asked[i].at);
      continue;
    }
    assert_int_equal(asked[i].length, c->length);
    if (c->length > 0)
      assert_memory_equal(out.data + asked[i].offset, c->data, c->length);
    good++;
    ++*ret_together;
  }
  return good;
}

/* A part here and there: their group is not what is read. */
static void test_few_together(void **state)
{
  struct scratch *s = *state;
  struct st_location at[COUNT];
  ST_CLEANUP(st_hashes_freep) struct st_hashes *hashes = st_hashes_new();
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  struct st_asked asked[COUNT];
  size_t n = 0, bytes = 0;
  fill(s);
  ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
  locate(reader, at);
  for (size_t i = 0; i < count; i++)
    if (at[i].encoding == ST_ENCODING_PART && i % 9 == 0) {
      bytes += all[i].length;
      asked[n++] = (struct st_asked){.id = &all[i].id, .at = &at[i]};
    }
  assert_true(n > 9);
  st_store_get_several(reader, hashes, asked, n, &out);
  assert_int_equal(out.length, bytes);
  for (size_t k = 0; k < n; k++)
    assert_true(asked[k].proved);
  empty();
}

static void test_together(void **state)
{
  struct scratch *s = *state;
  struct st_location at[COUNT], wrong[COUNT];
  size_t plain = 0, together, lost = 0, apart = 0;
  fill(s);
  ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
  locate(reader, at);
  for (size_t i = 0; i < count; i++) {
    plain += !all[i].id.keyed && at[i].encoding != ST_ENCODING_LIST;
    wrong[i] = at[(i + 1) % count];
  }
  assert_int_equal(read_together(reader, at, &together), count);
  assert_int_equal(together, plain);
  assert_int_equal(read_together(reader, wrong, &together), count);
  assert_int_equal(together, 0);
  for (off_t i = 70, size = size_of(s, PACK); i < size; i += size / 60) {
    flip(s, PACK, i);
    ST_CLEANUP(st_store_closep) struct st_store *other = open_store(s, ST_STORE_READ);
    locate(other, at);
    lost += count - read_together(other, at, &together);
    apart += plain - together;
    flip(s, PACK, i);
  }
  assert_true(lost > 20 && apart > 0);
  empty();
}

/* Whether it was handed over as it is; what is not may be anything, or be missing. */
static bool is_read_unproved(struct st_store *store, const struct content *c,
                             const struct st_location *at)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = st_store_get_unproved(store, &c->id, at, add_piece, &out, &why);
  assert_true(r == 0 || why.message);
  return r == 0 && out.length == c->length &&
         (c->length == 0 || memcmp(out.data, c->data, c->length) == 0);
}

static void test_unproved(void **state)
{
  struct scratch *s = *state;
  struct st_location at[COUNT];
  struct st_location nowhere = {0};
  size_t lost = 0, calls = 0;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  fill(s);
  ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
  locate(reader, at);
  for (size_t i = 0; i < count; i++)
    assert_true(is_read_unproved(reader, &all[i], &at[i]));
  assert_true(is_read_unproved(reader, &all[0], &nowhere));
  for (size_t i = 0; i < count; i++) /* another one's, which is not looked at */
    assert_false(is_read_unproved(reader, &all[i], &at[(i + 1) % count]));
  size_t longest = 0;
  for (size_t i = 1; i < count; i++)
    longest = all[i].length > all[longest].length ? i : longest;
  assert_true(st_store_get_unproved(reader, &all[longest].id, &at[longest], refuse_piece, &calls,
                                    &why) < 0);
  assert_int_equal(why.code, ENOSPC);
  assert_int_equal(calls, 1);
  for (off_t i = 70, size = size_of(s, PACK); i < size; i += size / 60) {
    flip(s, PACK, i);
    ST_CLEANUP(st_store_closep) struct st_store *other = open_store(s, ST_STORE_READ);
    locate(other, at);
    for (size_t k = 0; k < count; k++)
      lost += !is_read_unproved(other, &all[k], &at[k]);
    flip(s, PACK, i);
  }
  assert_true(lost > 20);
  empty();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_in_order),      TEST(test_few),        TEST(test_moved),
      TEST(test_flipped_bytes), TEST(test_wrong_list), TEST(test_refused_piece),
      TEST(test_together),      TEST(test_unproved),   TEST(test_few_together),
  };
  st_digest_init();
  st_log_open("test-locate", "none", ST_LOG_ERROR, NULL);
  st_log_quiet(true);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
