/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-scratch.h - for the store's tests: a store of its own for each, and looks into it. */
#ifndef ST_STORE_TEST_SCRATCH_H
#define ST_STORE_TEST_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

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

static inline int set_up(void **state)
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

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static inline int tear_down(void **state)
{
  struct scratch *s = *state;
  close(s->dir);
  nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  free(s);
  return 0;
}

static inline void show_error(const struct st_error *err)
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

static inline struct st_store *open_store(struct scratch *s, enum st_store_flags flags)
{
  struct st_store *store = NULL;
  OK(st_store_open(&store, s->dir, flags, &s->keys, err));
  return store;
}

static inline struct st_id put(struct st_store *store, const void *data, size_t length, bool secret,
                               const struct st_id *previous)
{
  struct st_id id;
  OK(st_store_put(store, data, length, secret, previous, &id, err));
  return id;
}

static inline struct st_id put_text(struct st_store *store, const char *text,
                                    const struct st_id *previous)
{
  return put(store, text, strlen(text), false, previous);
}

static inline void sync_store(struct st_store *store)
{
  OK(st_store_sync(store, err));
}

static inline void assert_holds(struct st_store *store, const struct st_id *id, const void *data,
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
static inline bool exact_or_error(struct st_store *store, const struct st_id *id, const void *data,
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

static inline void read_whole(struct scratch *s, const char *name, struct st_buffer *out)
{
  st_buffer_clear(out);
  OK(st_read_file(s->dir, name, 1 << 30, out, err));
}

static inline void write_whole(struct scratch *s, const char *name, const void *data, size_t length)
{
  ST_AUTO_CLOSE int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  assert_true(fd >= 0);
  OK(st_write_all(fd, data, length, err));
}

static inline off_t size_of(struct scratch *s, const char *name)
{
  struct stat st;
  assert_int_equal(fstatat(s->dir, name, &st, 0), 0);
  return st.st_size;
}

static inline void flip(struct scratch *s, const char *name, off_t at)
{
  uint8_t c;
  ST_AUTO_CLOSE int fd = openat(s->dir, name, O_RDWR);
  assert_int_equal(pread(fd, &c, 1, at), 1);
  c ^= 0xff;
  assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static inline void drop_index(struct scratch *s)
{
  unlinkat(s->dir, INDEX, 0);
}

/* The same bytes each time, and nothing that compresses. */
static inline void noise(void *out, size_t length, uint64_t seed)
{
  uint8_t *p = out;
  for (size_t i = 0; i < length; i++) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    p[i] = (uint8_t)(seed >> 56);
  }
}

static inline struct st_object_row row_of(struct st_store *store, const struct st_id *id)
{
  struct st_object_row row = {0};
  assert_int_equal(st_object_index_find(store->index, id, &row, NULL), 1);
  return row;
}

static inline void keep_words(void *arg, const char *words)
{
  st_buffer_printf(arg, "%s\n", words);
}

static inline int verify(struct st_store *store, struct st_buffer *words)
{
  int count = -1;
  st_buffer_clear(words);
  OK(count = st_store_verify(store, keep_words, words, err));
  return count;
}

static inline int verify_once(struct scratch *s, enum st_store_flags flags, struct st_buffer *words)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, flags);
  return verify(store, words);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
