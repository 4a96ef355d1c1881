/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "systracker/store/test-scratch.h"
#include "systracker/store/transfer.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zstd.h>

static struct {
  ino_t inode;
  unsigned syncs;
} watched;

/* The store's, too. */
int fdatasync(int fd)
{
  struct stat st;
  watched.syncs += fstat(fd, &st) == 0 && st.st_ino == watched.inode;
  return (int)syscall(SYS_fdatasync, fd);
}

/* ---- Objects ------------------------------------------------------------------------------------
 */

#define BIG (3U << 20)

static void test_round_trips(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *text = st_malloc(BIG), *random = st_malloc(BIG);
  for (size_t i = 0; i < BIG; i++)
    text[i] = "configuration = value\n"[(i + i / 999) % 22];
  noise(random, BIG, 1);
  const struct {
    const void *data;
    size_t length;
  } cases[] = {{"", 0}, {"x", 1}, {text, 3000}, {text, BIG}, {random, 70000}, {random, BIG}};
  struct st_id ids[2][ST_COUNT(cases)];
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (int round = 0; round < 4; round++) {
    for (size_t i = 0; i < ST_COUNT(cases); i++) {
      for (int secret = 0; secret < 2; secret++) {
        if (round == 0)
          ids[secret][i] = put(store, cases[i].data, cases[i].length, secret, NULL);
        assert_holds(store, &ids[secret][i], cases[i].data, cases[i].length);
      }
    }
    if (round == 0) {
      sync_store(store);
    } else {
      st_store_close(st_steal(&store));
      store = open_store(s, round == 1 ? ST_STORE_WRITE : ST_STORE_READ);
    }
  }
  struct st_store_size size;
  OK(st_store_size(store, &size, err));
  assert_int_equal(size.objects, 2 * ST_COUNT(cases));
  assert_int_equal(size.packs, 1);
  assert_int_equal(size.stored, size_of(s, PACK));
  assert_true(size.stored < 2 * (BIG + 70000) + 20000);
  struct stat st;
  fstatat(s->dir, PACK, &st, 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  fstatat(s->dir, INDEX, &st, 0);
  assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_dedup(void **state)
{
  struct scratch *s = *state;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id a = put_text(store, "the same", NULL), other;
  uint64_t size = store->packs.pending.length;
  assert_true(size > 0);
  other = put_text(store, "the same", NULL);
  assert_true(st_id_equal(&a, &other));
  assert_int_equal(store->packs.pending.length, size);
  sync_store(store);
  off_t durable = size_of(s, PACK);
  put_text(store, "the same", &a);
  sync_store(store);
  st_store_close(store);
  assert_int_equal(size_of(s, PACK), durable);
}

static void test_refusals(void **state)
{
  struct scratch *s = *state;
  struct st_id id = {0};
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  struct st_store *store = NULL;
  assert_int_equal(st_store_open(&store, s->dir, ST_STORE_READ, NULL, &err), -ENOENT);
  store = open_store(s, ST_STORE_WRITE);
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  assert_true(st_store_get(store, &id, &out, &err) < 0);
  assert_non_null(strstr(err.message, "is not in the store"));
  assert_false(st_store_has(store, &id));
  assert_int_equal(st_store_length(store, &id), -1);
  st_store_close(store);
  store = open_store(s, ST_STORE_READ);
  assert_true(st_store_put(store, "x", 1, false, NULL, &id, &err) < 0);
  assert_true(st_store_sync(store, &err) < 0);
  st_store_close(store);
}

/* ---- Revisions ----------------------------------------------------------------------------------
 */

#define REVISIONS 400 /* at most */
#define LINES 400

static void make_file(struct st_buffer *out)
{
  st_buffer_append_string(out, "# An ordinary configuration file.\n");
  for (int i = 0; i < LINES; i++)
    st_buffer_printf(out, "%s%s_%d = %u\n", i % 7 ? "" : "# ", i % 3 ? "option" : "timeout", i,
                     (unsigned)i * 2654435761U % 10000);
}

/* One line gets another value. */
static void edit_line(struct st_buffer *text, unsigned n)
{
  ST_AUTO_BUFFER next = ST_BUFFER_INIT;
  unsigned line = n * 37 % (LINES - 10) + 1;
  const char *from = text->data;
  while (line-- > 0)
    from = strchr(from, '\n') + 1;
  const char *to = strchr(from, '\n');
  st_buffer_append(&next, text->data, (size_t)(from - text->data));
  st_buffer_printf(&next, "option_%u = %u", n, n * 7919 % 100000);
  st_buffer_append_string(&next, to);
  st_buffer_free(text);
  *text = next;
  next = ST_BUFFER_INIT;
}

/* What zstd makes of it by default (level 3, checksum), with the predecessor as prefix. */
static size_t reference_size(const struct st_buffer *text, const struct st_buffer *previous)
{
  size_t room = ZSTD_compressBound(text->length);
  ST_AUTO_FREE char *out = st_malloc(room);
  ZSTD_CCtx *c = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
  if (previous) {
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 17);
    ZSTD_CCtx_refPrefix(c, previous->data, previous->length);
  }
  size_t n = ZSTD_compress2(c, out, room, text->data, text->length);
  ZSTD_freeCCtx(c);
  assert_false(ZSTD_isError(n));
  return n;
}

static void make_revisions(struct st_buffer *revisions, size_t count, unsigned edits)
{
  make_file(&revisions[0]);
  for (unsigned i = 1; i < count; i++) {
    st_buffer_append(&revisions[i], revisions[i - 1].data, revisions[i - 1].length);
    for (unsigned k = 0; k < edits; k++)
      edit_line(&revisions[i], i * edits + k * 11);
  }
}

static void assert_chain(struct st_store *store, const struct st_id *id)
{
  struct st_object_row row = row_of(store, id), base;
  unsigned depth = 0;
  for (; row.record.has_base; row = base) {
    assert_int_equal(st_object_index_find_base(store->index, row.record.id.keyed, row.record.base,
                                               &row, &base, 1, NULL),
                     1);
    assert_int_equal(base.record.step, st_delta_base_step(row.record.step));
    assert_true(++depth <= 16);
  }
  assert_int_equal(row.record.step, 0);
}

/* Returns the pack's size as a multiple of what zstd alone would take. */
static double check_series(struct scratch *s, bool secret, size_t count, unsigned edits)
{
  ST_AUTO_FREE struct st_buffer *revisions = st_calloc(REVISIONS, sizeof *revisions);
  ST_AUTO_FREE struct st_id *ids = st_calloc(REVISIONS, sizeof *ids);
  size_t reference = 0;
  make_revisions(revisions, count, edits);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (size_t i = 0; i < count; i++) {
    ids[i] = put(store, revisions[i].data, revisions[i].length, secret, i ? &ids[i - 1] : NULL);
    reference += reference_size(&revisions[i], i ? &revisions[i - 1] : NULL);
    assert_int_equal(row_of(store, &ids[i]).record.step, i % ST_DELTA_STEPS);
    if (i == count / 2)
      sync_store(store);
  }
  sync_store(store);
  st_store_close(store);
  store = open_store(s, ST_STORE_READ);
  for (size_t i = 0; i < count; i++) {
    assert_chain(store, &ids[i]);
    assert_holds(store, &ids[i], revisions[i].data, revisions[i].length);
    st_buffer_free(&revisions[i]);
  }
  st_store_close(store);
  double ratio = (double)size_of(s, PACK) / (double)reference;
  print_message("%zu revisions%s, %u lines each: pack %lld bytes, zstd alone %zu, ratio %.2f\n",
                count, secret ? " of a secret" : "", edits, (long long)size_of(s, PACK), reference,
                ratio);
  return ratio;
}

static void test_series(void **state)
{
  assert_true(check_series(*state, false, REVISIONS, 3) <= 2.0);
}

/* The least edit there is: its delta is smaller than the id and the rest of the record's head. */
static void test_series_of_least_edits(void **state)
{
  assert_true(check_series(*state, false, 200, 1) <= 2.5);
}

static void test_secret_series(void **state)
{
  check_series(*state, true, REVISIONS, 3);
}

static void test_delta_only_where_it_saves(void **state)
{
  struct scratch *s = *state;
  char old[4000], new[4000];
  noise(old, sizeof old, 1);
  noise(new, sizeof new, 2);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id a = put(store, old, sizeof old, false, NULL);
  struct st_id b = put(store, new, sizeof new, false, &a);
  assert_false(row_of(store, &b).record.has_base);
  memcpy(new + 1000, old + 1000, 3000);
  struct st_id c = put(store, new, sizeof new, false, &a);
  assert_int_equal(row_of(store, &c).record.step, 1);
  /* Never between secrets and others. */
  struct st_id d = put(store, new, sizeof new, true, &a);
  assert_false(row_of(store, &d).record.has_base);
  assert_holds(store, &d, new, sizeof new);
  st_store_close(store);
}

/* A long prefix, of which low levels would see only the end. */
static void test_long_delta(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = st_malloc(BIG);
  noise(data, BIG, 3);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id a = put(store, data, BIG, false, NULL);
  memcpy(data + 1000, "changed", 7);
  struct st_id b = put(store, data, BIG, false, &a);
  assert_true(row_of(store, &b).record.has_base);
  assert_true(row_of(store, &b).record.stored < BIG / 100);
  assert_holds(store, &b, data, BIG);
  st_store_close(store);
}

/* ---- Secrets ------------------------------------------------------------------------------------
 */

static void test_secrets(void **state)
{
  struct scratch *s = *state;
  static const char canary[] = "root:CANARY-2f6c:19000:0:99999:7:::\n";
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id secret = put(store, canary, sizeof canary, true, NULL), plain;
  assert_int_equal(secret.keyed, 1);
  st_id_of(&plain, NULL, canary, sizeof canary);
  assert_false(st_store_has(store, &plain));
  sync_store(store);
  st_store_close(store);
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  read_whole(s, PACK, &bytes);
  assert_null(memmem(bytes.data, bytes.length, "CANARY", 6));
  assert_null(memmem(bytes.data, bytes.length, plain.digest, 8));
  struct st_keys other;
  OK(st_keys_make(&other, err));
  const struct st_keys *wrong[] = {NULL, &other};
  for (int i = 0; i < 2; i++) {
    ST_AUTO_BUFFER out = ST_BUFFER_INIT;
    ST_AUTO_BUFFER words = ST_BUFFER_INIT;
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    assert_int_equal(st_store_open(&store, s->dir, ST_STORE_WRITE, wrong[i], &err), 0);
    assert_true(st_store_get(store, &secret, &out, &err) < 0);
    assert_non_null(strstr(err.message, "(secret)"));
    assert_int_equal(out.length, 0);
    assert_int_equal(verify(store, &words), 0);
    st_store_close(store);
  }
  store = open_store(s, ST_STORE_READ);
  assert_holds(store, &secret, canary, sizeof canary);
  st_store_close(store);
}

/* Two objects whose ids begin with the same bytes (found by trying). */
#define TWIN_A 21392
#define TWIN_B 220872

static void test_bases_that_begin_alike(void **state)
{
  struct scratch *s = *state;
  char a[200], b[200], next[200];
  noise(a, sizeof a, TWIN_A);
  noise(b, sizeof b, TWIN_B);
  memcpy(next, a, sizeof a);
  next[100] ^= 1;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id id_a = put(store, a, sizeof a, false, NULL);
  struct st_id delta = put(store, next, sizeof next, false, &id_a);
  assert_true(row_of(store, &delta).record.has_base);
  struct st_id id_b = put(store, b, sizeof b, false, NULL);
  assert_memory_equal(id_a.digest, id_b.digest, ST_RECORD_BASE_SIZE);
  assert_holds(store, &delta, next, sizeof next);
  assert_holds(store, &id_a, a, sizeof a);
  assert_holds(store, &id_b, b, sizeof b);
  /* No more deltas on either. */
  next[101] ^= 1;
  delta = put(store, next, sizeof next, false, &id_a);
  assert_false(row_of(store, &delta).record.has_base);
  st_store_close(store);
}

/* ---- Several packs, several programs
 * ---------------------------------------------------------------- */

static void test_two_packs(void **state)
{
  struct scratch *s = *state;
  char data[5][3000];
  struct st_id ids[5];
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  store->packs.full = 5000;
  for (int i = 0; i < 5; i++) {
    noise(data[i], sizeof data[i], (uint64_t)i + 100);
    ids[i] = put(store, data[i], sizeof data[i], false, NULL);
  }
  sync_store(store);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 5; i++)
      assert_holds(store, &ids[i], data[i], sizeof data[i]);
    struct st_store_size size;
    OK(st_store_size(store, &size, err));
    assert_int_equal(size.packs, 3);
    assert_int_equal(verify(store, &words), 0);
    st_store_close(store);
    if (round == 1)
      drop_index(s);
    store = open_store(s, ST_STORE_READ);
  }
  st_store_close(store);
}

static void test_reader_beside_writer(void **state)
{
  struct scratch *s = *state;
  struct st_store *writer = open_store(s, ST_STORE_WRITE);
  writer->packs.full = 3000;
  struct st_id first = put_text(writer, "first", NULL);
  sync_store(writer);
  struct st_store *reader = open_store(s, ST_STORE_READ);
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  for (int i = 0; i < 20; i++) {
    char data[700];
    noise(data, sizeof data, (uint64_t)i + 1);
    struct st_id id = put(writer, data, sizeof data, false, NULL);
    assert_false(st_store_has(reader, &id));
    sync_store(writer);
    assert_holds(reader, &id, data, sizeof data);
    assert_holds(reader, &first, "first", 5);
  }
  assert_int_equal(verify(reader, &words), 0);
  st_store_close(reader);
  st_store_close(writer);
}

/* The index is in memory: the reader came before there was a file of it, and finds packs by itself.
 */
static void test_reader_without_index(void **state)
{
  struct scratch *s = *state;
  struct st_store *writer = open_store(s, ST_STORE_WRITE);
  sync_store(writer);
  drop_index(s);
  struct st_store *reader = open_store(s, ST_STORE_READ);
  st_store_close(writer);
  writer = open_store(s, ST_STORE_WRITE);
  writer->packs.full = 1500;
  for (int i = 0; i < 12; i++) {
    char data[700];
    noise(data, sizeof data, (uint64_t)i + 1);
    struct st_id id = put(writer, data, sizeof data, false, NULL);
    assert_false(st_store_has(reader, &id));
    sync_store(writer);
    assert_holds(reader, &id, data, sizeof data);
  }
  assert_true(writer->packs.last > 3);
  st_store_close(reader);
  st_store_close(writer);
}

/* ---- No space
 * --------------------------------------------------------------------------------------- */

static void limit_file_size(rlim_t bytes)
{
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_write_fails(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = st_malloc(BIG);
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_id id;
  noise(data, BIG, 9);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id kept = put_text(store, "kept", NULL);
  sync_store(store);
  off_t size = size_of(s, PACK);
  struct st_id lost = put_text(store, "lost", NULL);
  signal(SIGXFSZ, SIG_IGN);
  limit_file_size(2 << 20);
  int r = st_store_put(store, data, BIG, false, NULL, &id, &err);
  limit_file_size(RLIM_INFINITY);
  assert_true(r < 0);
  assert_non_null(strstr(err.message, "cannot write pack 00000001.pack"));
  assert_int_equal(size_of(s, PACK), size);
  assert_holds(store, &kept, "kept", 4);
  assert_false(st_store_has(store, &lost));
  assert_false(st_store_has(store, &id));
  assert_true(st_store_put(store, "more", 4, false, NULL, &id, &err) < 0);
  assert_non_null(strstr(err.message, "takes no more"));
  assert_true(st_store_sync(store, &err) < 0);
  st_store_close(store);
  store = open_store(s, ST_STORE_WRITE);
  assert_holds(store, &kept, "kept", 4);
  id = put(store, data, BIG, false, NULL);
  sync_store(store);
  assert_holds(store, &id, data, BIG);
  assert_int_equal(verify(store, &words), 0);
  st_store_close(store);
}

/* ---- What the file of the index lacks -----------------------------------------------------------
 */

static uint64_t indexed(struct st_store *store)
{
  uint8_t identity[ST_PACK_IDENTITY_SIZE];
  uint64_t bytes = 0;
  assert_int_equal(st_object_index_pack(store->index, 1, identity, &bytes, NULL), 1);
  return bytes;
}

/* A little of it is found in the pack: by who opens the store, and by who has it open already. */
static void test_index_lags(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_id first = put_text(store, "first", NULL);
  OK(st_store_sync_packs(store, err));
  assert_int_equal(indexed(store), size_of(s, PACK)); /* of a new pack nothing may wait */
  st_store_close(store);
  struct st_store *reader = open_store(s, ST_STORE_READ);
  off_t before = size_of(s, PACK);
  store = open_store(s, ST_STORE_WRITE);
  struct st_id second = put_text(store, "second", NULL);
  OK(st_store_sync_packs(store, err));
  assert_int_equal(indexed(store), before);
  st_store_close(store);
  assert_holds(reader, &second, "second", 6);
  st_store_close(reader);
  reader = open_store(s, ST_STORE_READ);
  assert_holds(reader, &first, "first", 5);
  assert_holds(reader, &second, "second", 6);
  assert_int_equal(verify(reader, &words), 0);
  st_store_close(reader);

  store = open_store(s, ST_STORE_WRITE);
  assert_int_equal(indexed(store), before);
  assert_holds(store, &second, "second", 6);
  assert_int_equal(put_text(store, "second", NULL).digest[0], second.digest[0]);
  OK(st_store_sync_packs(store, err));
  OK(st_store_sync(store, err));
  assert_int_equal(indexed(store), size_of(s, PACK));
  assert_holds(store, &second, "second", 6);
  st_store_close(store);
}

/* It does not fall behind without end. */
static void test_index_follows(void **state)
{
  struct scratch *s = *state;
  uint8_t data[9000];
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (unsigned i = 0; i < 30; i++) {
    noise(data, sizeof data, i + 1);
    put(store, data, sizeof data, false, NULL);
    OK(st_store_sync_packs(store, err));
    assert_true((uint64_t)size_of(s, PACK) - indexed(store) < ST_INDEX_LAG);
    if (i % 5 == 0) {
      st_store_close(store);
      store = open_store(s, ST_STORE_WRITE);
    }
  }
  assert_true(indexed(store) > (uint64_t)5 * ST_INDEX_LAG / 2);
  st_store_close(store);
}

/* What a killed writer left is synced before anything that is durable names it, though nothing is
 * put. */
static void test_found_is_synced(void **state)
{
  struct scratch *s = *state;
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_text(store, "first", NULL);
  sync_store(store);
  struct st_id left = put_text(store, "left", NULL);
  st_store_close(store); /* written, but not synced */
  store = open_store(s, ST_STORE_WRITE);
  OK(st_store_sync_packs(store, err));
  assert_false(store->packs.relied);
  assert_true(st_store_has(store, &left));
  assert_true(store->packs.relied);
  OK(st_store_sync_packs(store, err));
  assert_false(store->packs.relied);
  assert_int_equal(store->packs.found, size_of(s, PACK));
  st_store_close(store);
}

/* Puts what is synced, and then what is not. */
static struct st_id leave_some(struct scratch *s)
{
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_text(store, "first", NULL);
  sync_store(store);
  struct st_id left = put_text(store, "left", NULL);
  st_store_close(store);
  struct stat st;
  assert_int_equal(fstatat(s->dir, PACK, &st, 0), 0);
  watched.inode = st.st_ino;
  watched.syncs = 0;
  return left;
}

/* Once another pack is written to, nobody would sync the one before. */
static void test_found_in_a_full_pack(void **state)
{
  struct scratch *s = *state;
  struct st_id left = leave_some(s);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_int_equal(watched.syncs, 0);
  store->packs.full = 1;
  struct st_id second = put_text(store, "second", NULL);
  assert_int_equal(row_of(store, &second).pack, 2);
  assert_int_equal(watched.syncs, 1);
  assert_true(st_store_has(store, &left));
  st_store_close(store);
}

/* Nor of a pack that is not gone on with. */
static void test_found_in_a_flawed_pack(void **state)
{
  struct scratch *s = *state;
  struct st_id left = leave_some(s);
  flip(s, PACK, 40);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_null(store->packs.current);
  assert_int_equal(watched.syncs, 1);
  assert_true(st_store_has(store, &left));
  st_store_close(store);
}

/* Before the file of the index names it. */
static void test_found_is_synced_first(void **state)
{
  struct scratch *s = *state;
  leave_some(s);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_int_equal(watched.syncs, 0);
  sync_store(store);
  assert_int_equal(watched.syncs, 1);
  assert_int_equal(indexed(store), size_of(s, PACK));
  st_store_close(store);
}

/* ---- Threads ------------------------------------------------------------------------------------
 */

#define THREADS 4
#define CONTENTS 200

struct worker {
  pthread_t thread;
  struct st_store *store;
  unsigned start;
  int failed;
};

/* Of each ten contents, one is a secret; the second half are revisions of the first. */
static void make_content(unsigned n, struct st_buffer *out)
{
  make_file(out);
  for (unsigned i = 0; i < n % (CONTENTS / 2); i++)
    st_buffer_printf(out, "mine_%u = %u\n", i, n % (CONTENTS / 2) * 7919);
  if (n >= CONTENTS / 2)
    st_buffer_printf(out, "edited = %u\n", n);
}

static void put_one(struct worker *w, unsigned n)
{
  ST_AUTO_BUFFER text = ST_BUFFER_INIT, before = ST_BUFFER_INIT, again = ST_BUFFER_INIT;
  ST_AUTO_PREPARED prepared = {0};
  struct st_id previous;
  bool secret = n % 10 == 0;
  make_content(n, &text);
  make_content(n % (CONTENTS / 2), &before);
  st_id_of(&previous, secret ? w->store->keys->id_key : NULL, before.data, before.length);
  struct st_content content = {.data = text.data,
                               .length = text.length,
                               .secret = secret,
                               .previous = &previous,
                               .group = true};
  if (st_store_prepare(w->store, &content, &prepared, NULL) < 0 ||
      st_store_append(w->store, &prepared, NULL) < 0 ||
      st_store_get(w->store, &prepared.id, &again, NULL) < 0 || again.length != text.length ||
      memcmp(again.data, text.data, text.length) != 0 || !st_store_has(w->store, &prepared.id))
    w->failed++;
}

static void *work(void *arg)
{
  struct worker *w = arg;
  for (unsigned i = 0; i < CONTENTS; i++)
    put_one(w, (w->start + i) % CONTENTS);
  return NULL;
}

static void test_threads(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct worker workers[THREADS] = {0};
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i].store = store;
    workers[i].start = i * 3;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    pthread_join(workers[i].thread, NULL);
    assert_int_equal(workers[i].failed, 0);
  }
  sync_store(store);
  assert_int_equal(verify(store, &words), 0);
  struct st_store_size size;
  OK(st_store_size(store, &size, err));
  assert_int_equal(size.objects, CONTENTS);
  /* Each has one record, whoever was first. */
  uint64_t records = ST_PACK_HEADER_SIZE;
  for (unsigned n = 0; n < CONTENTS; n++) {
    ST_AUTO_BUFFER text = ST_BUFFER_INIT;
    struct st_id id;
    make_content(n, &text);
    st_id_of(&id, n % 10 == 0 ? s->keys.id_key : NULL, text.data, text.length);
    records += st_store_stored(store, &id);
  }
  assert_true(records <= size.stored); /* and groups */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_round_trips),
      TEST(test_dedup),
      TEST(test_refusals),
      TEST(test_series),
      TEST(test_series_of_least_edits),
      TEST(test_secret_series),
      TEST(test_delta_only_where_it_saves),
      TEST(test_long_delta),
      TEST(test_secrets),
      TEST(test_bases_that_begin_alike),
      TEST(test_two_packs),
      TEST(test_reader_beside_writer),
      TEST(test_reader_without_index),
      TEST(test_write_fails),
      TEST(test_index_lags),
      TEST(test_index_follows),
      TEST(test_found_is_synced),
      TEST(test_found_in_a_full_pack),
      TEST(test_found_in_a_flawed_pack),
      TEST(test_found_is_synced_first),
      TEST(test_threads),
  };
  st_digest_init();
  st_log_open("test-store", "none", ST_LOG_ERROR, NULL);
  st_log_quiet(true);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
