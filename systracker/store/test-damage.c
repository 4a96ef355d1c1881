/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/checked.h"
#include "systracker/store/test-scratch.h"

#include <sqlite3.h>

#include "systracker/store/transfer.h"

/* ---- Kills, damage, recovery
 * ---------------------------------------------------------------------- */

#define NSMALL 12

/* A small store: texts of several lengths, a chain, secrets. */
struct small {
  char text[NSMALL][200];
  struct st_id ids[NSMALL];
  size_t last; /* where the last record begins */
};

static void make_small(struct scratch *s, struct small *m)
{
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (int i = 0; i < NSMALL; i++) {
    noise(m->text[i], 150, 7);
    snprintf(m->text[i] + 150, 50, "revision %d of this", i);
    m->ids[i] = put(store, m->text[i], 200, i % 4 == 3, i > 0 ? &m->ids[i - 1] : NULL);
    if (i == NSMALL - 2)
      sync_store(store);
  }
  m->last = row_of(store, &m->ids[NSMALL - 1]).offset;
  sync_store(store);
  st_store_close(store);
}

static void assert_small(struct st_store *store, const struct small *m, int count)
{
  for (int i = 0; i < count; i++)
    assert_holds(store, &m->ids[i], m->text[i], 200);
}

static void check_cut(struct scratch *s, const struct small *m, const struct st_buffer *pack,
                      size_t length)
{
  write_whole(s, PACK, pack->data, length);
  struct st_store *store = open_store(s, ST_STORE_READ);
  assert_small(store, m, NSMALL - 1);
  assert_false(st_store_has(store, &m->ids[NSMALL - 1]));
  st_store_close(store);
  assert_int_equal(size_of(s, PACK), length);
  store = open_store(s, ST_STORE_WRITE);
  assert_int_equal(size_of(s, PACK), m->last);
  assert_small(store, m, NSMALL - 1);
  assert_false(st_store_has(store, &m->ids[NSMALL - 1]));
  put(store, m->text[NSMALL - 1], 200, (NSMALL - 1) % 4 == 3, NULL);
  sync_store(store);
  assert_small(store, m, NSMALL);
  st_store_close(store);
}

static void test_kill_in_last_record(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_BUFFER index = ST_BUFFER_INIT;
  make_small(s, &m);
  read_whole(s, PACK, &pack);
  write_whole(s, PACK, pack.data, m.last);
  drop_index(s);
  st_store_close(open_store(s, ST_STORE_WRITE));
  read_whole(s, INDEX, &index);
  for (size_t n = m.last; n < pack.length; n++) {
    if (n % 2)
      drop_index(s);
    else
      write_whole(s, INDEX, index.data, index.length);
    check_cut(s, &m, &pack, n);
  }
}

/* A power cut may also leave zeros where nothing was synced. */
static void test_zeros_at_the_end(void **state)
{
  struct scratch *s = *state;
  struct small m;
  static const char zeros[1000];
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  make_small(s, &m);
  off_t size = size_of(s, PACK);
  ST_AUTO_CLOSE int fd = openat(s->dir, PACK, O_WRONLY | O_APPEND);
  assert_int_equal(write(fd, zeros, sizeof zeros), sizeof zeros);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_int_equal(size_of(s, PACK), size);
  assert_small(store, &m, NSMALL);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
}

/* What a checkpoint synced, and the file of the index lacks: an object before, and the last ones.
 */
#define NTAIL 3
static size_t make_unindexed(struct scratch *s, struct st_id ids[NTAIL], size_t ends[NTAIL])
{
  static const char *const texts[NTAIL] = {"indexed", "a text of a later checkpoint",
                                           "the last one"};
  size_t covered = 0;
  for (int i = 0; i < NTAIL; i++) {
    struct st_store *store = open_store(s, ST_STORE_WRITE);
    ids[i] = put_text(store, texts[i], NULL);
    st_store_sync_packs(store, NULL);
    st_store_close(store);
    ends[i] = (size_t)size_of(s, PACK);
    covered = i == 0 ? ends[i] : covered;
  }
  return covered;
}

/* One byte at any place of it: nothing is cut off, what is behind it can be read, and it is said.
 */
static void test_damage_that_is_not_indexed(void **state)
{
  struct scratch *s = *state;
  struct st_id ids[NTAIL];
  size_t ends[NTAIL];
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_BUFFER index = ST_BUFFER_INIT;
  size_t covered = make_unindexed(s, ids, ends);
  read_whole(s, PACK, &pack);
  read_whole(s, INDEX, &index);
  for (size_t at = covered; at < pack.length; at++) {
    ST_AUTO_BUFFER words = ST_BUFFER_INIT;
    write_whole(s, PACK, pack.data, pack.length);
    write_whole(s, INDEX, index.data, index.length);
    flip(s, PACK, (off_t)at);
    struct st_store *store = open_store(s, ST_STORE_WRITE);
    assert_int_equal(size_of(s, PACK), pack.length);
    assert_true(st_store_has(store, &ids[0]));
    assert_int_equal(st_store_has(store, &ids[1]), at >= ends[1]);
    assert_int_equal(st_store_has(store, &ids[2]), at < ends[1]);
    assert_int_equal(verify(store, &words), 1);
    put_text(store, "more", NULL); /* where the end is damaged in a pack of its own */
    sync_store(store);
    st_store_close(store);
    store = open_store(s, ST_STORE_WRITE);
    assert_true(size_of(s, PACK) >= (off_t)pack.length);
    assert_int_equal(verify(store, &words), 1);
    st_store_close(store);
    unlinkat(s->dir, "packs/00000002.pack", 0);
  }
}

/* A damaged length, and behind the record nothing, or what a kill or a power cut left of the next
 * one: it is still known to have been whole. */
static void test_damaged_length_at_the_end(void **state)
{
  static const char *const behind[] = {"", "ST\x11\x20", "\0\0\0\0\0\0\0\0\0\0"};
  static const size_t lengths[] = {0, 4, 10};
  struct scratch *s = *state;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_BUFFER index = ST_BUFFER_INIT;
  char text[3000];
  memset(text, 'a', sizeof text);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_text(store, "indexed", NULL);
  sync_store(store);
  struct st_id id = put(store, text, sizeof text, false, NULL);
  size_t at = row_of(store, &id).offset + 5; /* of the payload's length, behind two bytes of raw */
  st_store_sync_packs(store, NULL);
  st_store_close(store);
  read_whole(s, PACK, &pack);
  read_whole(s, INDEX, &index);
  pack.data[at] ^= 0x40;
  for (size_t i = 0; i < ST_COUNT(behind); i++) {
    ST_AUTO_BUFFER words = ST_BUFFER_INIT;
    ST_AUTO_BUFFER longer = ST_BUFFER_INIT;
    st_buffer_append(&longer, pack.data, pack.length);
    st_buffer_append(&longer, behind[i], lengths[i]);
    write_whole(s, PACK, longer.data, longer.length);
    write_whole(s, INDEX, index.data, index.length);
    store = open_store(s, ST_STORE_WRITE);
    assert_int_equal(size_of(s, PACK), longer.length);
    assert_int_equal(verify(store, &words), 1);
    st_store_close(store);
  }
}

/* Of the last record only the first half reached the disk, before a power cut. */
static void test_half_of_a_record_and_zeros(void **state)
{
  struct scratch *s = *state;
  struct st_id ids[NTAIL];
  size_t ends[NTAIL];
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  make_unindexed(s, ids, ends);
  read_whole(s, PACK, &pack);
  size_t half = ends[1] + (ends[2] - ends[1]) * 3 / 4;
  memset(pack.data + half, 0, pack.length - half);
  write_whole(s, PACK, pack.data, pack.length);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_int_equal(size_of(s, PACK), ends[1]);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
}

static void test_stillborn_pack(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  make_small(s, &m);
  write_whole(s, "packs/00000002.pack", "STpa", 4);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_small(store, &m, NSMALL);
  assert_int_equal(faccessat(s->dir, "packs/00000002.pack", F_OK, 0), -1);
  put_text(store, "more", NULL);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
}

/* Never synced, never closed: as if killed. */
static void test_kill_before_index(void **state)
{
  struct scratch *s = *state;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id a = put_text(store, "before", NULL);
  sync_store(store);
  struct st_id b = put_text(store, "after", NULL);
  st_store_close(store); /* written, but neither synced nor indexed */
  store = open_store(s, ST_STORE_READ);
  assert_holds(store, &b, "after", 5);
  st_store_close(store);
  store = open_store(s, ST_STORE_WRITE);
  assert_holds(store, &a, "before", 6);
  assert_holds(store, &b, "after", 5);
  off_t size = size_of(s, PACK);
  put_text(store, "after", NULL);
  sync_store(store);
  st_store_close(store);
  assert_int_equal(size_of(s, PACK), size);
}

static int count_exact(struct st_store *store, const struct small *m)
{
  int good = 0;
  for (int i = 0; i < NSMALL; i++)
    good += exact_or_error(store, &m->ids[i], m->text[i], 200);
  return good;
}

/* Opens a store in some state of damage and looks at everything; -1: refused in words. */
static int look_at_damage(struct scratch *s, const struct small *m, enum st_store_flags flags,
                          int *ret_found)
{
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_store *store = NULL;
  if (st_store_open(&store, s->dir, flags, &s->keys, &err) < 0) {
    assert_non_null(err.message);
    return -1;
  }
  int good = count_exact(store, m);
  *ret_found = st_store_verify(store, keep_words, &words, &err);
  if (*ret_found < 0) { /* a writer checked the index when it opened it, a reader did not */
    assert_int_equal(flags, ST_STORE_READ);
    assert_non_null(strstr(err.message, "packs/objects.db is damaged"));
  }
  assert_true(count_exact(store, m) >= good);
  st_store_close(store);
  return good;
}

static void test_flipped_bytes(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_BUFFER index = ST_BUFFER_INIT;
  make_small(s, &m);
  read_whole(s, PACK, &pack);
  read_whole(s, INDEX, &index);
  for (size_t at = 0; at < pack.length; at += 7) {
    int found;
    write_whole(s, PACK, pack.data, pack.length);
    flip(s, PACK, (off_t)at);
    assert_true(look_at_damage(s, &m, ST_STORE_READ, &found) >= 0);
    assert_true(found >= 1);
    drop_index(s);
    look_at_damage(s, &m, ST_STORE_READ, &found);
    look_at_damage(s, &m, ST_STORE_WRITE, &found);
    if (at < m.last) /* at its end it may be taken for torn */
      assert_int_equal(size_of(s, PACK), pack.length);
    write_whole(s, PACK, pack.data, pack.length);
    flip(s, PACK, (off_t)at);
    write_whole(s, INDEX, index.data, index.length);
    assert_true(look_at_damage(s, &m, ST_STORE_WRITE, &found) >= 0);
    assert_true(found >= 1);
    assert_int_equal(size_of(s, PACK), pack.length);
    unlinkat(s->dir, "packs/00000002.pack", 0);
    write_whole(s, INDEX, index.data, index.length);
  }
}

static void test_refill(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  make_small(s, &m);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_object_row row = row_of(store, &m.ids[0]);
  flip(s, PACK, (off_t)row.offset + 60);
  int found = verify(store, &words);
  assert_true(found >= 2); /* others are based on it */
  assert_non_null(strstr(words.data, "of pack 00000001.pack at 64: its checksum is wrong"));
  assert_false(st_store_has(store, &m.ids[0]));
  assert_int_equal(st_store_length(store, &m.ids[0]), -1);
  put(store, m.text[0], 200, false, NULL);
  assert_holds(store, &m.ids[0], m.text[0], 200);
  assert_int_equal(verify(store, &words), 0);
  assert_small(store, &m, NSMALL);
  st_store_close(store);
  assert_int_equal(verify_once(s, ST_STORE_READ, &words), 0);
}

static void test_get_quarantines(void **state)
{
  struct scratch *s = *state;
  struct small m;
  make_small(s, &m);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  flip(s, PACK, (off_t)row_of(store, &m.ids[1]).offset + 50);
  assert_true(st_store_has(store, &m.ids[1]));
  assert_false(exact_or_error(store, &m.ids[1], m.text[1], 200));
  assert_false(st_store_has(store, &m.ids[1]));
  put(store, m.text[1], 200, false, NULL);
  assert_holds(store, &m.ids[1], m.text[1], 200);
  st_store_close(store);
}

/* What a content is made from is not proved by itself: still it is that which is put aside. */
static void test_damaged_base(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  make_small(s, &m);
  struct st_store *reader = open_store(s, ST_STORE_READ), *store = open_store(s, ST_STORE_WRITE);
  assert_holds(reader, &m.ids[1], m.text[1], 200);
  assert_true(row_of(store, &m.ids[1]).record.has_base);
  flip(s, PACK, (off_t)row_of(store, &m.ids[0]).offset + 60);
  assert_holds(reader, &m.ids[1], m.text[1], 200); /* from what was decoded before */
  assert_true(st_store_get(store, &m.ids[1], &out, &err) < 0);
  assert_non_null(strstr(err.message, "its base: object"));
  assert_true(row_of(store, &m.ids[0]).damaged);
  put(store, m.text[0], 200, false, NULL);
  assert_int_equal(verify(store, &out), 0);
  assert_holds(store, &m.ids[1], m.text[1], 200);
  st_store_close(store);
  st_store_close(reader);
}

static void test_pack_missing_or_short(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  make_small(s, &m);
  read_whole(s, PACK, &pack);
  write_whole(s, PACK, pack.data, m.last);
  assert_int_equal(verify_once(s, ST_STORE_READ, &words), 1);
  assert_non_null(strstr(words.data, "the pack ends before it"));
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_false(st_store_has(store, &m.ids[NSMALL - 1]));
  put(store, m.text[NSMALL - 1], 200, (NSMALL - 1) % 4 == 3, NULL);
  sync_store(store);
  assert_small(store, &m, NSMALL);
  st_store_close(store);
  assert_int_equal(size_of(s, PACK), m.last); /* left alone: a new one took it */
  unlinkat(s->dir, PACK, 0);
  assert_int_equal(verify_once(s, ST_STORE_WRITE, &words), NSMALL - 1);
  assert_non_null(strstr(words.data, "pack 00000001.pack is missing"));
}

/* A pack that is gone or short is known to be, and forgotten to be kept again. */
static void test_packs_lost(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  make_small(s, &m);
  read_whole(s, PACK, &pack);
  struct st_store *store = open_store(s, ST_STORE_READ);
  assert_false(st_store_lacks_packs(store));
  st_store_close(store);
  for (int gone = 0; gone < 2; gone++) {
    write_whole(s, PACK, pack.data, m.last);
    if (gone)
      unlinkat(s->dir, PACK, 0);
    store = open_store(s, ST_STORE_READ);
    assert_true(st_store_lacks_packs(store));
    st_store_close(store);
    store = open_store(s, ST_STORE_WRITE);
    assert_int_equal(st_store_forget_lost(store, NULL), 0);
    assert_false(st_store_lacks_packs(store));
    for (int i = 0; i < NSMALL; i++) {
      assert_int_equal(st_store_has(store, &m.ids[i]), !gone && i < NSMALL - 1);
      put(store, m.text[i], 200, i % 4 == 3, NULL);
    }
    sync_store(store);
    assert_small(store, &m, NSMALL);
    st_store_close(store);
    store = open_store(s, ST_STORE_READ);
    assert_false(st_store_lacks_packs(store));
    assert_small(store, &m, NSMALL);
    st_store_close(store);
    unlinkat(s->dir, "packs/objects.db", 0);
    unlinkat(s->dir, "packs/00000002.pack", 0);
    unlinkat(s->dir, PACK, 0);
    make_small(s, &m);
    pack.length = 0;
    read_whole(s, PACK, &pack);
  }
}

/* ---- The index
 * ------------------------------------------------------------------------------------ */

static void test_index_lost(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  make_small(s, &m);
  drop_index(s);
  struct st_store *store = open_store(s, ST_STORE_READ);
  assert_small(store, &m, NSMALL);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
  assert_int_equal(faccessat(s->dir, INDEX, F_OK, 0), -1); /* a reader writes nothing */
  store = open_store(s, ST_STORE_WRITE);
  assert_small(store, &m, NSMALL);
  st_store_close(store);
  store = open_store(s, ST_STORE_READ);
  assert_small(store, &m, NSMALL);
  st_store_close(store);
}

static void check_garbage(struct scratch *s, const struct small *m)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_store *store = open_store(s, ST_STORE_READ); /* scans the packs */
  assert_small(store, m, NSMALL);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
  store = open_store(s, ST_STORE_WRITE);
  assert_small(store, m, NSMALL);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
  store = open_store(s, ST_STORE_READ);
  assert_small(store, m, NSMALL);
  st_store_close(store);
}

static void test_index_garbage(void **state)
{
  struct scratch *s = *state;
  struct small m;
  char garbage[8192];
  make_small(s, &m);
  noise(garbage, sizeof garbage, 5);
  write_whole(s, INDEX, garbage, sizeof garbage);
  check_garbage(s, &m);
  write_whole(s, INDEX, "short", 5);
  check_garbage(s, &m);
  write_whole(s, INDEX, "", 0);
  struct st_store *store = open_store(s, ST_STORE_READ);
  assert_small(store, &m, NSMALL);
  st_store_close(store);
}

/* Whatever byte of the index is wrong: an error or the content, and a writer puts it right. */
static void test_index_flipped(void **state)
{
  struct scratch *s = *state;
  struct small m;
  ST_AUTO_BUFFER index = ST_BUFFER_INIT;
  make_small(s, &m);
  read_whole(s, INDEX, &index);
  for (size_t at = 5; at < index.length; at += 211) {
    int found;
    flip(s, INDEX, (off_t)at);
    look_at_damage(s, &m, ST_STORE_READ, &found);
    look_at_damage(s, &m, ST_STORE_WRITE, &found);
    struct st_store *store = open_store(s, ST_STORE_WRITE);
    assert_small(store, &m, NSMALL);
    st_store_close(store);
    write_whole(s, INDEX, index.data, index.length);
  }
}

/* Killed while the index was committed: its journal must be rolled back, which a reader cannot. */
static void make_hot_journal(struct scratch *s)
{
  char path[300];
  sqlite3 *db = NULL;
  ST_AUTO_BUFFER index = ST_BUFFER_INIT;
  ST_AUTO_BUFFER journal = ST_BUFFER_INIT;
  snprintf(path, sizeof path, "%s/" INDEX, s->path);
  assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
  assert_int_equal(
      sqlite3_exec(db,
                   "PRAGMA cache_size = 1; BEGIN IMMEDIATE; DELETE FROM object;"
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
                   " INSERT INTO replaced SELECT i, i, zeroblob(33) FROM n",
                   NULL, NULL, NULL),
      SQLITE_OK);
  read_whole(s, INDEX, &index);
  read_whole(s, INDEX "-journal", &journal);
  sqlite3_close(db);
  assert_true(journal.length > 512);
  write_whole(s, INDEX, index.data, index.length);
  write_whole(s, INDEX "-journal", journal.data, journal.length);
}

static void test_kill_in_index_commit(void **state)
{
  struct scratch *s = *state;
  struct small m;
  make_small(s, &m);
  make_hot_journal(s);
  struct st_store *store = open_store(s, ST_STORE_READ);
  assert_small(store, &m, NSMALL);
  st_store_close(store);
  assert_true(size_of(s, INDEX "-journal") > 0);
  store = open_store(s, ST_STORE_WRITE);
  assert_small(store, &m, NSMALL);
  st_store_close(store);
}

/* A note that a file was found whole holds until it changes, and is not made while it is new. */
static void test_checked(void **state)
{
  struct scratch *s = *state;
  struct small m;
  make_small(s, &m);
  ST_AUTO_CLOSE int packs = openat(s->dir, "packs", O_RDONLY | O_DIRECTORY);
  struct stat st;
  assert_int_equal(fstatat(packs, "objects.db", &st, 0), 0);
  st_checked_forget(packs, "objects.db");
  struct timespec now = st.st_ctim;
  st_checked_note(packs, "objects.db", &now);
  assert_false(st_checked_is(packs, "objects.db"));
  now.tv_sec += 10;
  st_checked_note(packs, "objects.db", &now);
  assert_true(st_checked_is(packs, "objects.db"));
  usleep(50000); /* the next tick of the clock that files are stamped by */
  flip(s, INDEX, 5000);
  assert_false(st_checked_is(packs, "objects.db"));
  flip(s, INDEX, 5000);
  now.tv_sec += 10;
  st_checked_note(packs, "objects.db", &now);
  assert_true(st_checked_is(packs, "objects.db"));
  st_checked_forget(packs, "objects.db");
  assert_false(st_checked_is(packs, "objects.db"));
}

static void test_newer_index(void **state)
{
  struct scratch *s = *state;
  struct small m;
  make_small(s, &m);
  ST_AUTO_CLOSE int fd = openat(s->dir, INDEX, O_RDWR);
  assert_int_equal(pwrite(fd, "\0\0\0\4", 4, 60), 4); /* user_version */
  for (int flags = 0; flags < 2; flags++) {
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    struct st_store *store = NULL;
    assert_true(st_store_open(&store, s->dir, (enum st_store_flags)flags, NULL, &err) < 0);
    assert_non_null(strstr(err.message, "newer version"));
  }
}

static void test_other_pack_of_the_name(void **state)
{
  struct scratch *s = *state;
  struct small m, other;
  ST_AUTO_BUFFER index = ST_BUFFER_INIT;
  make_small(s, &m);
  read_whole(s, INDEX, &index);
  unlinkat(s->dir, PACK, 0);
  drop_index(s);
  make_small(s, &other);
  write_whole(s, INDEX, index.data, index.length);
  struct st_store *store = open_store(s, ST_STORE_READ);
  assert_small(store, &other, NSMALL);
  st_store_close(store);
  store = open_store(s, ST_STORE_WRITE);
  assert_small(store, &other, NSMALL);
  st_store_close(store);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_kill_in_last_record),
      TEST(test_damage_that_is_not_indexed),
      TEST(test_damaged_length_at_the_end),
      TEST(test_half_of_a_record_and_zeros),
      TEST(test_zeros_at_the_end),
      TEST(test_stillborn_pack),
      TEST(test_kill_before_index),
      TEST(test_flipped_bytes),
      TEST(test_refill),
      TEST(test_get_quarantines),
      TEST(test_pack_missing_or_short),
      TEST(test_packs_lost),
      TEST(test_index_lost),
      TEST(test_index_garbage),
      TEST(test_index_flipped),
      TEST(test_kill_in_index_commit),
      TEST(test_checked),
      TEST(test_damaged_base),
      TEST(test_newer_index),
      TEST(test_other_pack_of_the_name),
  };
  st_digest_init();
  st_log_open("test-store", "none", ST_LOG_ERROR, NULL);
  st_log_quiet(true);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
