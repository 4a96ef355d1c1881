/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-chunks.c - large contents: in chunks, in pieces, changed a little, damaged, and on the way.
 */
#include "config.h"

#include "systracker/store/test-scratch.h"

#include "systracker/store/repack.h"
#include "systracker/store/transfer.h"

#define LENGTH (20U << 20)
#define ZEROS (64U << 20)

static char *make_large(uint64_t seed)
{
  char *data = st_malloc(LENGTH);
  noise(data, LENGTH, seed);
  return data;
}

static struct st_id put_in_pieces(struct st_store *store, const char *data, size_t length,
                                  size_t piece, bool secret, const struct st_id *previous)
{
  ST_CLEANUP(st_store_writer_freep) struct st_store_writer *w = NULL;
  struct st_id id;
  OK(st_store_writer_new(&w, store, secret, previous, err));
  for (size_t at = 0; at < length; at += piece)
    OK(st_store_writer_add(w, data + at, length - at < piece ? length - at : piece, err));
  OK(st_store_writer_finish(w, &id, err));
  return id;
}

static int add_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)err;
  assert_true(n <= ST_CHUNK_LENGTH_MAX);
  st_buffer_append(arg, data, n);
  return 0;
}

static void assert_pieces(struct st_store *store, const struct st_id *id, const char *data,
                          size_t length)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  OK(st_store_get_to(store, id, add_piece, &out, err));
  assert_int_equal(out.length, length);
  assert_memory_equal(out.data, data, length);
}

static uint64_t stored_bytes(struct st_store *store)
{
  struct st_store_size size;
  OK(st_store_size(store, &size, err));
  return size.stored;
}

static size_t count_chunks(struct st_store *store, const struct st_id *id, struct st_chunk *ret,
                           size_t max)
{
  ST_AUTO_BUFFER list = ST_BUFFER_INIT;
  struct st_object_row row = row_of(store, id);
  size_t at = 0, n = 0;
  assert_int_equal(row.record.encoding, ST_ENCODING_LIST);
  OK(st_store_chunks(store, &row, &list, err));
  while (n < max && st_chunklist_next(list.data, list.length, id->keyed, &at, &ret[n]) > 0)
    n++;
  return n;
}

static void test_round_trips(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = make_large(1);
  static const size_t lengths[] = {ST_CHUNK_FROM - 1, ST_CHUNK_FROM, ST_CHUNK_FROM + 1,
                                   2 * ST_CHUNK_MAX, LENGTH};
  static const size_t pieces[] = {1000003, LENGTH};
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < ST_COUNT(lengths); i++) {
      for (int secret = 0; secret < 2; secret++) {
        struct st_id id, expected;
        st_id_of(&expected, secret ? s->keys.id_key : NULL, data, lengths[i]);
        if (round == 0)
          id = put(store, data, lengths[i], secret, NULL);
        else
          id = expected;
        assert_true(st_id_equal(&id, &expected));
        assert_holds(store, &id, data, lengths[i]);
        assert_pieces(store, &id, data, lengths[i]);
        uint64_t before = stored_bytes(store);
        for (size_t p = 0; round == 0 && p < ST_COUNT(pieces); p++) {
          id = put_in_pieces(store, data, lengths[i], pieces[p], secret, NULL);
          assert_true(st_id_equal(&id, &expected));
        }
        assert_int_equal(stored_bytes(store), before);
      }
    }
    if (round == 0)
      sync_store(store);
    st_store_close(st_steal(&store));
    if (round == 1)
      drop_index(s);
    store = open_store(s, round == 0 ? ST_STORE_READ : ST_STORE_WRITE);
  }
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  assert_int_equal(verify(store, &words), 0);
}

/* What a small change costs: in place it is a delta of one chunk, where the revision before is
 * known, and one chunk or two where it is not. */
static void test_small_changes(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = make_large(2), *moved = st_malloc(LENGTH + 1);
  struct st_chunk chunks[64];
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id a = put(store, data, LENGTH, false, NULL);
  uint64_t first = stored_bytes(store);
  size_t n = count_chunks(store, &a, chunks, ST_COUNT(chunks));
  noise(data + LENGTH / 2, 4096, 99);
  put(store, data, LENGTH, false, &a);
  uint64_t second = stored_bytes(store);
  noise(data + LENGTH / 4, 4096, 98);
  struct st_id c = put_in_pieces(store, data, LENGTH, 65536, false, NULL);
  uint64_t third = stored_bytes(store);
  memcpy(moved + 1, data, LENGTH);
  moved[0] = 'x';
  struct st_id d = put(store, moved, LENGTH + 1, false, NULL);
  uint64_t fourth = stored_bytes(store);
  print_message(
      "%u bytes in %zu chunks: %llu stored; one block changed: %llu, without the revision "
      "before: %llu; a byte put in front: %llu\n",
      LENGTH, n, (unsigned long long)first, (unsigned long long)(second - first),
      (unsigned long long)(third - second), (unsigned long long)(fourth - third));
  assert_true(first < LENGTH + LENGTH / 1000);
  assert_true(second - first < 4096 + 4096 + 64 * n);
  assert_true(third - second <= 2 * ST_CHUNK_MAX && third - second < LENGTH / 4);
  assert_true(fourth - third <= 2 * ST_CHUNK_MAX && fourth - third < LENGTH / 4);
  assert_pieces(store, &c, data, LENGTH);
  assert_pieces(store, &d, moved, LENGTH + 1);
  st_store_close(store);
}

static void test_zeros(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = st_calloc(1, ZEROS);
  struct st_chunk chunks[4];
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  data[ZEROS - 1] = 1;
  struct st_id id = put_in_pieces(store, data, ZEROS, 1 << 20, false, NULL);
  assert_int_equal(count_chunks(store, &id, chunks, ST_COUNT(chunks)), 2);
  assert_int_equal(chunks[0].times, ZEROS / ST_CHUNK_MAX - 1);
  print_message("%u zeros: %llu bytes\n", ZEROS, (unsigned long long)stored_bytes(store));
  assert_true(stored_bytes(store) < 4096);
  assert_pieces(store, &id, data, ZEROS);
  st_store_close(store);
}

/* The places of a secret's cuts tell nothing of it, and without the key it is not read. */
static void test_secret(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = make_large(3);
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT, words = ST_BUFFER_INIT;
  struct st_chunk chunks[64];
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id id = put(store, data, LENGTH, true, NULL);
  size_t n = count_chunks(store, &id, chunks, ST_COUNT(chunks));
  assert_int_equal(n, LENGTH / ST_CHUNK_AVERAGE);
  for (size_t i = 0; i < n; i++)
    assert_int_equal(chunks[i].length, ST_CHUNK_AVERAGE);
  sync_store(store);
  st_store_close(store);
  OK(st_store_open(&store, s->dir, ST_STORE_READ, NULL, err));
  assert_true(st_store_get_to(store, &id, add_piece, &out, &why) < 0);
  assert_non_null(strstr(why.message, "there is no key"));
  assert_int_equal(out.length, 0);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
}

/* One that was given up, or killed, has left chunks; the next one need not keep them again. */
static void test_given_up(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = make_large(11);
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_id id;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  ST_CLEANUP(st_store_writer_freep) struct st_store_writer *w = NULL;
  OK(st_store_writer_new(&w, store, false, NULL, err));
  OK(st_store_writer_add(w, data, LENGTH / 2, err));
  assert_true(st_store_writer_kept(w) > 0);
  st_id_of(&id, NULL, data, LENGTH);
  assert_false(st_store_has(store, &id));
  st_store_writer_free(st_steal(&w));
  st_store_close(store);
  store = open_store(s, ST_STORE_WRITE); /* which finds what was not indexed */
  uint64_t before = stored_bytes(store);
  assert_true(before > LENGTH / 4);
  put(store, data, LENGTH, false, NULL);
  assert_true(stored_bytes(store) < LENGTH + LENGTH / 1000);
  assert_pieces(store, &id, data, LENGTH);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
}

/* ---- Damage ------------------------------------------------------------------------------------
 */

static void test_damaged_chunk(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = make_large(4);
  ST_AUTO_BUFFER out = ST_BUFFER_INIT, words = ST_BUFFER_INIT;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_chunk chunks[64];
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id id = put(store, data, LENGTH, false, NULL), small = put_text(store, "small", NULL);
  sync_store(store);
  count_chunks(store, &id, chunks, ST_COUNT(chunks));
  struct st_object_row row = row_of(store, &chunks[3].id);
  st_store_close(store);
  flip(s, PACK, (off_t)row.offset + 1000);
  store = open_store(s, ST_STORE_WRITE);
  assert_true(st_store_get_to(store, &id, add_piece, &out, &why) < 0);
  assert_non_null(strstr(why.message, "checksum is wrong"));
  assert_true(out.length < LENGTH);
  assert_false(st_store_has(store, &chunks[3].id));
  assert_false(st_store_has(store, &id));
  assert_true(st_store_get(store, &id, &out, NULL) < 0);
  assert_int_equal(verify(store, &words), 2); /* the chunk, and what it is a part of */
  uint64_t before = stored_bytes(store);
  put(store, data, LENGTH, false, NULL);
  assert_true(stored_bytes(store) - before < ST_CHUNK_MAX + 65536);
  assert_pieces(store, &id, data, LENGTH);
  assert_holds(store, &small, "small", 5);
  sync_store(store);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
}

/* Chunks that are all intact, and make another content than the list's id says. */
static void test_wrong_list(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = make_large(5);
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_PARCEL parcel = {0};
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id id = put(store, data, LENGTH, false, NULL), other;
  OK(st_store_export(store, &id, &parcel, err));
  memset(&other, 7, sizeof other);
  other.keyed = 0;
  parcel.record.id = other;
  assert_true(st_store_import(store, &parcel, &why) < 0);
  assert_non_null(strstr(why.message, "not what its id says"));
  OK(st_store_append_record(store, &parcel.record, parcel.payload.data, err));
  st_error_clear(&why);
  assert_true(st_store_get(store, &other, &out, &why) < 0);
  assert_non_null(strstr(why.message, "not what its id says"));
  assert_int_equal(out.length, 0);
  st_store_close(store);
}

static int refuse_piece(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)arg, (void)data, (void)n;
  return st_fail(err, ENOSPC, "cannot write");
}

/* That a piece could not be taken says nothing of the object. */
static void test_refused_piece(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = make_large(6);
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id id = put(store, data, LENGTH, false, NULL);
  assert_true(st_store_get_to(store, &id, refuse_piece, NULL, &why) < 0);
  assert_int_equal(why.code, ENOSPC);
  assert_true(st_store_has(store, &id));
  assert_pieces(store, &id, data, LENGTH);
  st_store_close(store);
}

/* ---- On the way --------------------------------------------------------------------------------
 */

static int count_one(void *arg, const struct st_id *id, struct st_error *err)
{
  (void)id, (void)err;
  ++*(size_t *)arg;
  return 0;
}

static void send_large(struct scratch *s, bool secret)
{
  struct scratch *t = NULL;
  assert_int_equal(set_up((void **)&t), 0);
  ST_AUTO_FREE char *data = make_large(7);
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_PARCEL parcel = {0};
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_chunk chunks[64];
  size_t bases = 0;
  struct st_store *from = open_store(s, ST_STORE_WRITE), *to;
  struct st_id id = put(from, data, LENGTH, secret, NULL);
  noise(data + LENGTH / 2, 100, 8);
  struct st_id next = put(from, data, LENGTH, secret, &id);
  size_t n = count_chunks(from, &next, chunks, ST_COUNT(chunks));
  OK(st_store_bases(from, &next, count_one, &bases, err));
  assert_int_equal(bases, n);
  OK(st_store_open(&to, t->dir, ST_STORE_WRITE, NULL, err));
  OK(st_store_export(from, &next, &parcel, err));
  assert_true(st_store_import(to, &parcel, &why) < 0);
  assert_non_null(strstr(why.message, "was not taken"));
  assert_int_equal(st_store_copy(to, from, &next, NULL), 1);
  assert_int_equal(st_store_copy(to, from, &next, NULL), 0);
  assert_int_equal(verify(to, &words), 0);
  sync_store(to);
  st_store_close(to);
  OK(st_store_open(&to, t->dir, ST_STORE_READ, &s->keys, err));
  assert_pieces(to, &next, data, LENGTH);
  st_store_close(to);
  st_store_close(from);
  tear_down((void **)&t);
}

static void test_sent(void **state)
{
  send_large(*state, false);
}

static void test_secret_sent(void **state)
{
  send_large(*state, true);
}

static bool is_wanted(void *arg, const struct st_id *id)
{
  return st_id_equal(arg, id);
}

/* A chunk stays as long as some list that is wanted has it. */
static void test_repacked(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = make_large(8);
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_repack_options options = {.percent = 1};
  struct st_repack_result result;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id a = put(store, data, LENGTH, false, NULL);
  noise(data, 3 * ST_CHUNK_MAX, 9);
  struct st_id b = put(store, data, LENGTH, false, &a);
  noise(data + 3 * ST_CHUNK_MAX, 1000, 10);
  struct st_id c = put(store, data, LENGTH, false, &b);
  put_text(store, "unwanted", NULL);
  OK(st_store_repack(store, is_wanted, &c, &options, &result, err));
  assert_true(result.dropped > 3);
  assert_true(result.after < result.before && result.after < LENGTH + LENGTH / 10);
  assert_pieces(store, &c, data, LENGTH);
  assert_false(st_store_has(store, &a));
  assert_false(st_store_has(store, &b));
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_given_up),    TEST(test_round_trips),   TEST(test_small_changes),
      TEST(test_zeros),       TEST(test_secret),        TEST(test_damaged_chunk),
      TEST(test_wrong_list),  TEST(test_refused_piece), TEST(test_sent),
      TEST(test_secret_sent), TEST(test_repacked),
  };
  st_digest_init();
  st_log_open("test-chunks", "none", ST_LOG_ERROR, NULL);
  st_log_quiet(true);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
