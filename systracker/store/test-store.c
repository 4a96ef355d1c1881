/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <zstd.h>

#include "systracker/base/escape.h"
#include "systracker/base/file.h"
#include "systracker/base/log.h"
#include "systracker/store/internal.h"

#define PACK "packs/00000001.pack"
#define INDEX "packs/objects.db"

/* ---- A store of its own for each test -----------------------------------------------------------
 */

struct scratch {
  char path[256];
  int dir;
  struct st_keys keys;
};

static int set_up(void **state)
{
  struct scratch *s = st_calloc(1, sizeof *s);
  const char *tmp = getenv("TMPDIR");
  snprintf(s->path, sizeof s->path, "%s/test-store.XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(s->path) || st_keys_make(&s->keys, NULL) < 0)
    return -1;
  s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *state = s;
  return s->dir < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static int tear_down(void **state)
{
  struct scratch *s = *state;
  close(s->dir);
  nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(s);
  return 0;
}

static void show_error(const struct st_error *err)
{
  if (err->message)
    print_message("%s\n", err->message);
}

#define OK(call)                                                                                   \
  do {                                                                                             \
    ST_AUTO_ERROR err_ = ST_ERROR_INIT;                                                            \
    struct st_error *err = &err_;                                                                  \
    int ok_ = (call);                                                                              \
    show_error(err);                                                                               \
    assert_true(ok_ >= 0);                                                                         \
  } while (0)

static struct st_store *open_store(struct scratch *s, enum st_store_flags flags)
{
  struct st_store *store = NULL;
  OK(st_store_open(&store, s->dir, flags, &s->keys, err));
  return store;
}

static struct st_id put(struct st_store *store, const void *data, size_t length, bool secret,
                        const struct st_id *previous)
{
  struct st_id id;
  OK(st_store_put(store, data, length, secret, previous, &id, err));
  return id;
}

static struct st_id put_text(struct st_store *store, const char *text, const struct st_id *previous)
{
  return put(store, text, strlen(text), false, previous);
}

static void sync_store(struct st_store *store)
{
  OK(st_store_sync(store, err));
}

static void assert_holds(struct st_store *store, const struct st_id *id, const void *data,
                         size_t length)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  assert_true(st_store_has(store, id));
  assert_int_equal(st_store_length(store, id), length);
  OK(st_store_get(store, id, &out, err));
  assert_int_equal(out.length, length);
  if (length > 0)
    assert_memory_equal(out.data, data, length);
}

/* Exact content, or an error with words; true: content. */
static bool exact_or_error(struct st_store *store, const struct st_id *id, const void *data,
                           size_t length)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  if (st_store_get(store, id, &out, &err) < 0) {
    assert_non_null(err.message);
    assert_int_equal(out.length, 0);
    return false;
  }
  assert_int_equal(out.length, length);
  assert_memory_equal(out.data, data, length);
  return true;
}

static void read_whole(struct scratch *s, const char *name, struct st_buffer *out)
{
  st_buffer_clear(out);
  OK(st_read_file(s->dir, name, 1 << 30, out, err));
}

static void write_whole(struct scratch *s, const char *name, const void *data, size_t length)
{
  ST_AUTO_CLOSE int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  OK(st_write_all(fd, data, length, err));
}

static off_t size_of(struct scratch *s, const char *name)
{
  struct stat st;
  assert_int_equal(fstatat(s->dir, name, &st, 0), 0);
  return st.st_size;
}

static void flip(struct scratch *s, const char *name, off_t at)
{
  uint8_t c;
  ST_AUTO_CLOSE int fd = openat(s->dir, name, O_RDWR);
  assert_int_equal(pread(fd, &c, 1, at), 1);
  c ^= 0xff;
  assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static void drop_index(struct scratch *s)
{
  unlinkat(s->dir, INDEX, 0);
}

/* The same bytes each time, and nothing that compresses. */
static void noise(void *out, size_t length, uint64_t seed)
{
  uint8_t *p = out;
  for (size_t i = 0; i < length; i++) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    p[i] = (uint8_t)(seed >> 56);
  }
}

static struct st_object_row row_of(struct st_store *store, const struct st_id *id)
{
  struct st_object_row row = {0};
  assert_int_equal(st_object_index_find(store->index, id, &row, NULL), 1);
  return row;
}

static void keep_words(void *arg, const char *words)
{
  st_buffer_printf(arg, "%s\n", words);
}

static int verify(struct st_store *store, struct st_buffer *words)
{
  int count = -1;
  st_buffer_clear(words);
  OK(count = st_store_verify(store, keep_words, words, err));
  return count;
}

static int verify_once(struct scratch *s, enum st_store_flags flags, struct st_buffer *words)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, flags);
  return verify(store, words);
}

/* ---- Objects ------------------------------------------------------------------------------------
 */

#define BIG (5U << 20)

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
  assert_true(st_store_put(store, "", ST_RECORD_RAW_MAX + 1, false, NULL, &id, &err) < 0);
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

#define REVISIONS 400
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

static void make_revisions(struct st_buffer *revisions, unsigned edits)
{
  make_file(&revisions[0]);
  for (unsigned i = 1; i < REVISIONS; i++) {
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
                                               &base, 1, NULL),
                     1);
    assert_int_equal(base.record.step, st_delta_base_step(row.record.step));
    assert_true(++depth <= 16);
  }
  assert_int_equal(row.record.step, 0);
}

/* Returns the pack's size as a multiple of what zstd alone would take. */
static double check_series(struct scratch *s, bool secret, unsigned edits)
{
  ST_AUTO_FREE struct st_buffer *revisions = st_calloc(REVISIONS, sizeof *revisions);
  ST_AUTO_FREE struct st_id *ids = st_calloc(REVISIONS, sizeof *ids);
  size_t reference = 0;
  make_revisions(revisions, edits);
  struct st_store *store = open_store(s, ST_STORE_WRITE);
  for (size_t i = 0; i < REVISIONS; i++) {
    ids[i] = put(store, revisions[i].data, revisions[i].length, secret, i ? &ids[i - 1] : NULL);
    reference += reference_size(&revisions[i], i ? &revisions[i - 1] : NULL);
    assert_int_equal(row_of(store, &ids[i]).record.step, i % ST_DELTA_STEPS);
    if (i == REVISIONS / 2)
      sync_store(store);
  }
  sync_store(store);
  st_store_close(store);
  store = open_store(s, ST_STORE_READ);
  for (size_t i = 0; i < REVISIONS; i++) {
    assert_chain(store, &ids[i]);
    assert_holds(store, &ids[i], revisions[i].data, revisions[i].length);
    st_buffer_free(&revisions[i]);
  }
  st_store_close(store);
  double ratio = (double)size_of(s, PACK) / (double)reference;
  print_message("%d revisions%s, %u lines each: pack %lld bytes, zstd alone %zu, ratio %.2f\n",
                REVISIONS, secret ? " of a secret" : "", edits, (long long)size_of(s, PACK),
                reference, ratio);
  return ratio;
}

static void test_series(void **state)
{
  assert_true(check_series(*state, false, 3) <= 2.0);
}

/* The least edit there is: its delta is smaller than the id and the rest of the record's head. */
static void test_series_of_least_edits(void **state)
{
  assert_true(check_series(*state, false, 1) <= 2.5);
}

static void test_secret_series(void **state)
{
  check_series(*state, true, 3);
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
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  struct st_store *store = NULL;
  assert_true(st_store_open(&store, s->dir, ST_STORE_READ, &s->keys, &err) < 0);
  assert_non_null(strstr(err.message, "packs/objects.db is damaged"));
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

static void test_newer_index(void **state)
{
  struct scratch *s = *state;
  struct small m;
  make_small(s, &m);
  ST_AUTO_CLOSE int fd = openat(s->dir, INDEX, O_RDWR);
  assert_int_equal(pwrite(fd, "\0\0\0\2", 4, 60), 4); /* user_version */
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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
      TEST(test_kill_in_last_record),
      TEST(test_zeros_at_the_end),
      TEST(test_stillborn_pack),
      TEST(test_kill_before_index),
      TEST(test_flipped_bytes),
      TEST(test_refill),
      TEST(test_get_quarantines),
      TEST(test_pack_missing_or_short),
      TEST(test_index_lost),
      TEST(test_index_garbage),
      TEST(test_index_flipped),
      TEST(test_newer_index),
      TEST(test_other_pack_of_the_name),
      TEST(test_two_packs),
      TEST(test_reader_beside_writer),
      TEST(test_write_fails),
  };
  st_digest_init();
  st_log_open("test-store", "none", ST_LOG_ERROR, NULL);
  st_log_quiet(true);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
