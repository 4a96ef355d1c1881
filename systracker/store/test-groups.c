/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-groups.c - small contents that are kept together: read, lost, pruned, brought elsewhere one
 * by one. */
#include "systracker/store/test-scratch.h"

#include "systracker/store/repack.h"
#include "systracker/store/transfer.h"

#define FILES 400

static struct st_id ids[FILES];

/* Some 1 to 8 KiB, of which much is the same in all. */
static void make(unsigned n, struct st_buffer *out)
{
  char word[24];
  st_buffer_clear(out);
  for (unsigned i = 0; i < 30 + n * 37 % 200; i++) {
    noise(word, sizeof word, i); /* of each line, the same in all */
    for (size_t k = 0; k < sizeof word; k++)
      word[k] = (char)('a' + (word[k] & 15));
    st_buffer_printf(out, "%.*s %u\n", (int)sizeof word, word, n);
  }
}

static void put_grouped(struct st_store *store, const struct st_buffer *text, bool secret,
                        const struct st_id *previous, struct st_id *ret)
{
  ST_AUTO_PREPARED prepared = {0};
  struct st_content content = {.data = text->data,
                               .length = text->length,
                               .secret = secret,
                               .previous = previous,
                               .group = true};
  OK(st_store_prepare(store, &content, &prepared, err));
  OK(st_store_append(store, &prepared, err));
  *ret = prepared.id;
}

static void put_files(struct st_store *store)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  for (unsigned n = 0; n < FILES; n++) {
    make(n, &text);
    put_grouped(store, &text, false, NULL, &ids[n]);
  }
}

static void assert_file(struct st_store *store, unsigned n)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  make(n, &text);
  assert_holds(store, &ids[n], text.data, text.length);
}

static void assert_files(struct st_store *store)
{
  for (unsigned n = 0; n < FILES; n++)
    assert_file(store, n * 101 % FILES); /* from one group to another */
}

static void assert_sound(struct st_store *store)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  if (verify(store, &words) != 0)
    fail_msg("%s", words.data);
}

static void make_store(struct scratch *s)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_files(store);
  sync_store(store);
}

static void test_round_trip(void **state)
{
  struct scratch *s = *state;
  struct st_store_size size;
  uint64_t raw = 0;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_files(store);
  /* What waits is there, how long it is, too, and can be read. */
  for (unsigned n = 0; n < FILES; n++) {
    make(n, &text);
    raw += text.length;
    assert_true(st_store_has(store, &ids[n]));
    assert_int_equal(st_store_length(store, &ids[n]), text.length);
  }
  assert_file(store, FILES - 1);
  sync_store(store);
  assert_files(store);
  assert_int_equal(row_of(store, &ids[0]).record.encoding, ST_ENCODING_PART);
  OK(st_store_size(store, &size, err));
  assert_int_equal(size.objects, FILES);
  assert_int_equal(size.raw, raw);
  assert_sound(store);
  /* It is kept once. */
  uint64_t before = st_store_appended(store);
  put_files(store);
  sync_store(store);
  assert_int_equal(st_store_appended(store), before);
  drop_index(s);
  ST_CLEANUP(st_store_closep) struct st_store *reader = open_store(s, ST_STORE_READ);
  assert_files(reader);
  assert_sound(reader);
}

/* A group that is called what it is not is none, though its checksum is right: not even to prune,
 * which moves it as it is. */
static void test_wrong_id(void **state)
{
  struct scratch *s = *state;
  make_store(s);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_object_row part = row_of(store, &ids[0]), group;
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_record record;
  assert_int_equal(st_store_find_base(store, 0, part.record.base, &part, &group, 1, NULL), 1);
  assert_int_equal(st_store_prove_row(store, &group, NULL), ST_READ_OK);
  OK(st_packs_read(&store->packs, group.pack, group.offset, group.record.stored, &record, &bytes,
                   err));
  record.id.digest[ST_DIGEST_SIZE - 1] ^= 1;
  size_t head = bytes.length - ST_RECORD_CRC_SIZE - record.stored;
  OK(st_store_append_record(store, &record, bytes.data + head, err));
  group = row_of(store, &record.id);
  assert_int_equal(st_store_prove_row(store, &group, NULL), ST_READ_DAMAGED);
}

/* Appended, so that the store has them alone. */
static uint64_t bytes_of(struct scratch *s, bool group)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (unsigned n = 0; n < FILES; n++) {
    make(n, &text);
    if (group)
      put_grouped(store, &text, false, NULL, &ids[n]);
    else
      ids[n] = put(store, text.data, text.length, false, NULL);
  }
  sync_store(store);
  return st_store_appended(store);
}

static void test_is_smaller(void **state)
{
  void *other = NULL;
  assert_int_equal(set_up(&other), 0);
  assert_true(2 * bytes_of(*state, true) < bytes_of(other, false));
  tear_down(&other);
}

/* One that is alone, those for which it does not pay, large ones and secrets stay by themselves. */
static void test_what_is_not_grouped(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT, large = ST_BUFFER_INIT;
  struct st_id alone, secret, big, noises[4];
  uint8_t bytes[512];
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  make(1, &text);
  put_grouped(store, &text, false, NULL, &alone);
  sync_store(store);
  assert_int_equal(row_of(store, &alone).record.encoding, ST_ENCODING_ZSTD);
  for (unsigned i = 0; i < 4; i++) {
    noise(bytes, sizeof bytes, i);
    struct st_buffer b = {.data = (char *)bytes, .length = sizeof bytes};
    put_grouped(store, &b, false, NULL, &noises[i]);
  }
  sync_store(store);
  assert_int_equal(row_of(store, &noises[3]).record.encoding, ST_ENCODING_RAW);
  while (large.length < ST_GROUP_MEMBER_RAW)
    st_buffer_append(&large, text.data, text.length);
  put_grouped(store, &text, true, NULL, &secret);
  put_grouped(store, &large, false, NULL, &big);
  sync_store(store);
  assert_int_equal(secret.keyed, 1);
  assert_int_equal(row_of(store, &secret).record.encoding, ST_ENCODING_ZSTD);
  assert_int_equal(row_of(store, &big).record.encoding, ST_ENCODING_ZSTD);
  assert_sound(store);
}

/* Groups do not travel: what is in one comes as a record of its own. */
static void test_exported_alone(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_PARCEL parcel = {0};
  make_store(s);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_READ);
  OK(st_store_export(store, &ids[7], &parcel, err));
  assert_int_equal(parcel.record.encoding, ST_ENCODING_PART);
  OK(st_store_export_alone(store, &ids[7], &parcel, err));
  assert_int_equal(parcel.record.encoding, ST_ENCODING_ZSTD);
  assert_true(st_id_equal(&parcel.record.id, &ids[7]));
  assert_int_equal(parcel.payload.length, parcel.record.stored);
}

/* Revisions of what is in a group are deltas, of it and of each other. */
static void test_series(void **state)
{
  enum { STEPS = 230 };
  struct scratch *s = *state;
  static struct st_id series[STEPS];
  ST_AUTO_BUFFER text = ST_BUFFER_INIT;
  unsigned deltas = 0;
  make_store(s);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  make(5, &text);
  for (unsigned i = 0; i < STEPS; i++) {
    st_buffer_printf(&text, "edit %u\n", i);
    put_grouped(store, &text, false, i ? &series[i - 1] : &ids[5], &series[i]);
    sync_store(store);
    deltas += row_of(store, &series[i]).record.encoding == ST_ENCODING_DELTA;
    assert_holds(store, &series[i], text.data, text.length);
  }
  assert_int_equal(deltas, STEPS - 1); /* step 215 is the last one of its series */
  assert_sound(store);
}

/* Whatever a kill leaves of the pack. */
static void test_torn(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT, text = ST_BUFFER_INIT;
  make_store(s);
  read_whole(s, PACK, &pack);
  for (size_t cut = ST_PACK_HEADER_SIZE; cut < pack.length; cut += 1777) {
    write_whole(s, PACK, pack.data, cut);
    drop_index(s);
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
    for (unsigned n = 0; n < FILES; n++) {
      make(n, &text);
      if (st_store_has(store, &ids[n]))
        assert_holds(store, &ids[n], text.data, text.length);
    }
    assert_sound(store);
  }
}

/* A damaged group is damage of what is in it, until that is there again. */
static void test_damage(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT, text = ST_BUFFER_INIT;
  make_store(s);
  flip(s, PACK, ST_PACK_HEADER_SIZE + 2000); /* in the first group */
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  int damaged = verify(store, &words), missing = 0;
  assert_true(damaged > 1 && damaged < FILES);
  for (unsigned n = 0; n < FILES; n++) {
    make(n, &text);
    missing += !exact_or_error(store, &ids[n], text.data, text.length);
  }
  assert_int_equal(missing, damaged);
  put_files(store);
  sync_store(store);
  assert_files(store);
  assert_sound(store);
}

/* ---- Pruned ------------------------------------------------------------------------------------
 */

struct wish {
  unsigned from, to, step;
};

static bool is_wanted(void *arg, const struct st_id *id)
{
  const struct wish *w = arg;
  for (unsigned n = w->from; n < w->to; n += w->step)
    if (st_id_equal(&ids[n], id))
      return true;
  return false;
}

static void check_wish(unsigned from, unsigned to, unsigned step)
{
  void *state = NULL;
  assert_int_equal(set_up(&state), 0);
  struct scratch *s = state;
  struct wish w = {from, to, step};
  struct st_repack_options options = {.percent = 1};
  struct st_repack_result result;
  make_store(s);
  {
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
    OK(st_store_repack(store, is_wanted, &w, &options, &result, err));
    assert_int_equal(result.objects, FILES);
    for (unsigned n = from; n < to; n += step)
      assert_file(store, n);
    assert_sound(store);
    OK(st_store_repack(store, is_wanted, &w, &options, &result, err));
    assert_true(result.after <= result.before);
  }
  drop_index(s);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (unsigned n = from; n < to; n += step)
    assert_file(store, n);
  assert_sound(store);
  tear_down(&state);
}

static void test_wishes(void **state)
{
  (void)state;
  check_wish(0, FILES, 1);
  check_wish(0, 0, 1);
  check_wish(0, FILES, 2);
  check_wish(0, FILES, 30);
  check_wish(0, FILES / 2, 1);
  check_wish(FILES - 3, FILES, 1);
}

/* A part that goes, and the deltas of it that stay. */
static void test_part_goes(void **state)
{
  struct scratch *s = *state;
  static struct st_id series[12];
  ST_AUTO_BUFFER text = ST_BUFFER_INIT, last = ST_BUFFER_INIT;
  struct wish w = {100, FILES, 1};
  struct st_repack_options options = {.percent = 1};
  struct st_repack_result result;
  make_store(s);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  make(5, &text);
  for (unsigned i = 0; i < ST_COUNT(series); i++) {
    st_buffer_printf(&text, "edit %u\n", i);
    put_grouped(store, &text, false, i ? &series[i - 1] : &ids[5], &series[i]);
    sync_store(store);
  }
  /* In the place of those that are not wanted. */
  for (unsigned i = 0; i < ST_COUNT(series); i++)
    ids[100 + i] = series[i];
  OK(st_store_repack(store, is_wanted, &w, &options, &result, err));
  assert_false(st_store_has(store, &ids[5]));
  make(5, &last);
  for (unsigned i = 0; i < ST_COUNT(series); i++) {
    st_buffer_printf(&last, "edit %u\n", i);
    assert_holds(store, &series[i], last.data, last.length);
  }
  assert_sound(store);
}

/* ---- Elsewhere --------------------------------------------------------------------------------
 */

static void test_travels_alone(void **state)
{
  struct scratch *s = *state;
  void *other = NULL;
  ST_AUTO_PARCEL parcel = {0};
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  assert_int_equal(set_up(&other), 0);
  make_store(s);
  ST_CLEANUP(st_store_closep) struct st_store *from = open_store(s, ST_STORE_READ);
  ST_CLEANUP(st_store_closep) struct st_store *to = open_store(other, ST_STORE_WRITE);
  assert_true(st_store_has_whole(from, &ids[3]));
  OK(st_store_export(from, &ids[3], &parcel, err));
  assert_true(st_store_import(to, &parcel, &why) < 0);
  assert_int_equal(st_store_copy(to, from, &ids[3], NULL), 1);
  assert_int_equal(st_store_copy(to, from, &ids[3], NULL), 0);
  sync_store(to);
  assert_file(to, 3);
  assert_false(st_store_has(to, &ids[4]));
  assert_int_equal(row_of(to, &ids[3]).record.encoding, ST_ENCODING_ZSTD);
  assert_sound(to);
  tear_down(&other);
}

/* ---- Threads -----------------------------------------------------------------------------------
 */

struct worker {
  pthread_t thread;
  struct st_store *store;
  unsigned start, failed;
};

static void *work(void *arg)
{
  struct worker *w = arg;
  ST_AUTO_BUFFER text = ST_BUFFER_INIT, again = ST_BUFFER_INIT;
  for (unsigned i = 0; i < FILES; i++) {
    unsigned n = (w->start + i) % FILES;
    ST_AUTO_PREPARED prepared = {0};
    make(n, &text);
    struct st_content content = {.data = text.data, .length = text.length, .group = true};
    st_buffer_clear(&again);
    if (st_store_prepare(w->store, &content, &prepared, NULL) < 0 ||
        st_store_append(w->store, &prepared, NULL) < 0 || !st_store_has(w->store, &prepared.id) ||
        (i % 50 == 0 &&
         (st_store_get(w->store, &prepared.id, &again, NULL) < 0 || again.length != text.length)))
      w->failed++;
  }
  return NULL;
}

static void test_threads(void **state)
{
  struct worker workers[4] = {0};
  struct st_store_size size;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(*state, ST_STORE_WRITE);
  for (unsigned i = 0; i < ST_COUNT(workers); i++) {
    workers[i].store = store;
    workers[i].start = i * 3;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (unsigned i = 0; i < ST_COUNT(workers); i++) {
    pthread_join(workers[i].thread, NULL);
    assert_int_equal(workers[i].failed, 0);
  }
  sync_store(store);
  OK(st_store_size(store, &size, err));
  assert_int_equal(size.objects, FILES);
  assert_sound(store);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_round_trip), TEST(test_wrong_id),
      TEST(test_is_smaller), TEST(test_what_is_not_grouped),
      TEST(test_series),     TEST(test_torn),
      TEST(test_damage),     TEST(test_wishes),
      TEST(test_part_goes),  TEST(test_travels_alone),
      TEST(test_threads),    TEST(test_exported_alone),
  };
  st_digest_init();
  st_log_open("test-groups", "none", ST_LOG_ERROR, NULL);
  st_log_quiet(true);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
