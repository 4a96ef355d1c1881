/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-walk-large.c - the walk's large files, which are hashed ahead of their turn (large.h). */
#include <pthread.h>
#include <stdatomic.h>

#include "systracker/base/hashes.h"
#include "systracker/scan/test-world.h"

#define MIB ((size_t)1 << 20)
#define MANY 90

static void name_of(char path[32], size_t i)
{
  snprintf(path, 32, "/etc/d%zu/%zu", i % 3, i);
}

/* Of many sizes on both sides of where they are large, some longer than is ever mapped. */
static size_t size_of(size_t i)
{
  if (i == 37)
    return 130 * MIB;
  return i % 30 == 7 ? 25 * MIB + i : MIB / 4 - 2 + i * i * 137 % (3 * MIB);
}

/* A few bytes in it; the rest are holes. */
static void put_sparse(struct world *w, const char *path, size_t size)
{
  ST_AUTO_CLOSE int fd = openat(w->root, path + 1, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  assert_true(fd >= 0);
  assert_int_equal(pwrite(fd, path, strlen(path), (off_t)(size / 2)), strlen(path));
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  age(w, path);
}

static void put_many(struct world *w)
{
  char path[32];
  for (size_t i = 0; i < 3; i++) {
    snprintf(path, sizeof(path), "/etc/d%zu", i);
    make_dir(w, path);
  }
  for (size_t i = 0; i < MANY; i++) {
    name_of(path, i);
    put_sparse(w, path, size_of(i));
  }
  RULES(w, "+/etc");
  w->proves = true;
}

static int by_bytes(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* No name here is another one's beginning and goes on with what sorts before '/'. */
static void assert_in_order(const struct world *w)
{
  ST_AUTO_STRINGS sorted = {0};
  ST_AUTO_STRINGS seen = {0};
  for (size_t i = 0; i < w->said.count; i++) {
    if (strncmp(w->said.items[i], "entry ", 6) != 0)
      continue;
    st_strings_add(&sorted, w->said.items[i]);
    st_strings_add(&seen, w->said.items[i]);
  }
  qsort(sorted.items, sorted.count, sizeof(char *), by_bytes);
  for (size_t i = 0; i < sorted.count; i++)
    assert_string_equal(seen.items[i], sorted.items[i]);
}

static void test_many(void **state)
{
  struct world *w = *state;
  put_many(w);
  walk_settled(w);
  assert_int_equal(count_said(w, "digest /etc/d"), MANY);
  assert_int_equal(w->result.read, MANY + 2);
  assert_int_equal(w->unnamed, 0);
  assert_in_order(w);
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.read, 0);
  w->full = true;
  walk(w);
  assert_int_equal(w->result.read, MANY + 2);
  assert_in_order(w);
}

/* Those that changed alone are read again. */
static void test_some_changed(void **state)
{
  struct world *w = *state;
  put_many(w);
  walk_settled(w);
  put_sparse(w, "/etc/d0/3", 2 * MIB + 77);
  put_sparse(w, "/etc/d1/4", 3 * MIB);
  put_sparse(w, "/etc/d2/5", 17);
  walk_settled(w);
  assert_int_equal(w->result.read, 3);
  assert_int_equal(count_said(w, "digest "), 3);
}

/* More than is hashed ahead of what is told. */
static void test_lots(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc/d");
  make_dir(w, "/etc/d");
  for (size_t i = 0; i < 90; i++) {
    ST_AUTO_FREE char *path = st_format("/etc/d/%zu", i);
    put_sparse(w, path, 20 * MIB - i);
  }
  walk(w);
  assert_int_equal(count_said(w, "digest /etc/d/"), 90);
  assert_int_equal(w->result.read_bytes, 90 * 20 * MIB - 89 * 90 / 2);
}

static void test_links(void **state)
{
  struct world *w = *state;
  put_many(w);
  assert_int_equal(linkat(w->root, "etc/d0/3", w->root, "etc/d2/link", 0), 0);
  assert_int_equal(linkat(w->root, "etc/d1/4", w->root, "etc/alink", 0), 0);
  walk_settled(w);
  assert_int_equal(count_said(w, "digest /etc/d"), MANY + 1);
  assert_true(said(w, "digest /etc/alink"));
  walk_settled(w);
  assert_int_equal(w->result.read, 0);
}

static void test_secrets(void **state)
{
  struct world *w = *state;
  put_many(w);
  w->proves = false;
  w->want |= ST_WANT_SECRET;
  walk(w);
  assert_int_equal(count_said(w, "digest /etc/d"), MANY);
  assert_int_equal(w->last.digest.keyed, 1);
}

/* They go to the store, as they did. */
static void test_content(void **state)
{
  struct world *w = *state;
  put_many(w);
  w->want |= ST_WANT_CONTENT;
  w->max_content = 2 * MIB;
  w->prepares = true;
  walk(w);
  size_t kept = 2;
  for (size_t i = 0; i < MANY; i++)
    kept += size_of(i) <= 2 * MIB;
  assert_int_equal(count_said(w, "content "), kept);
  assert_int_equal(count_said(w, "digest /etc/d"), MANY);
}

/* ---- What moves under the walk --------------------------------------------------------------- */

/* Seen by the walk, and something else when they are looked at. */
static void change_some(struct world *w)
{
  w->while_reading = NULL;
  unlinkat(w->root, "etc/d0/3", 0);
  unlinkat(w->root, "etc/d0/6", 0);
  assert_int_equal(mkfifoat(w->root, "etc/d0/6", 0600), 0);
  unlinkat(w->root, "etc/d0/9", 0);
  assert_int_equal(symlinkat("12", w->root, "etc/d0/9"), 0);
  put_sparse(w, "/etc/d1/4", 12);
  put_sparse(w, "/etc/d1/10", 0);
  put_sparse(w, "/etc/d1/13", 26 * MIB);
  put_sparse(w, "/etc/d1/16", 2 * MIB + 1);
}

static void test_changed_before(void **state)
{
  struct world *w = *state;
  put_many(w);
  w->while_reading = change_some;
  walk(w);
  assert_int_equal(w->result.vanished, 3);
  assert_int_equal(count_said(w, "digest /etc/d"), MANY - 3);
  assert_int_equal(count_said(w, "unreadable"), 0);
  walk_settled(w);
  assert_true(said(w, "entry /etc/d0/6"));
  assert_true(said(w, "12 /etc/d0/9"));
}

static void move_folder(struct world *w)
{
  w->while_reading = NULL;
  assert_int_equal(renameat(w->root, "etc/d1", w->root, "elsewhere"), 0);
  assert_int_equal(symlinkat("../elsewhere", w->root, "etc/d1"), 0);
}

/* No symlink is followed to them. */
static void test_folder_is_swapped(void **state)
{
  struct world *w = *state;
  put_many(w);
  w->while_reading = move_folder;
  walk(w);
  assert_int_equal(count_said(w, "digest /etc/d1/"), 0);
  assert_int_equal(count_said(w, "digest /etc/d"), MANY / 3 * 2);
}

struct cutter {
  struct world *w;
  atomic_bool end;
};

static void *cut(void *arg)
{
  struct cutter *c = arg;
  while (!c->end) {
    for (size_t i = 0; i < MANY; i += 5) {
      char path[32];
      name_of(path, i);
      ST_AUTO_CLOSE int fd = openat(c->w->root, path + 1, O_WRONLY);
      if (ftruncate(fd, (off_t)(i % 2 ? 0 : MIB / 2)) == 0 && ftruncate(fd, (off_t)size_of(i)) == 0)
        sched_yield();
    }
  }
  return NULL;
}

/* Cut off again and again while they are mapped, or not, as it comes: nobody dies of it, each is
 * told with a digest or as unreadable, and once it has ended they are as they are. */
static void test_cut_off(void **state)
{
  struct world *w = *state;
  put_many(w);
  w->proves = false;
  struct cutter c = {.w = w};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, cut, &c), 0);
  for (size_t i = 0; i < 5; i++) {
    w->full = true;
    walk(w);
    assert_int_equal(count_said(w, "entry /etc/d"), MANY + 3);
    assert_int_equal(count_said(w, "digest /etc/d") + count_said(w, "unreadable /etc/d"), MANY);
  }
  c.end = true;
  assert_int_equal(pthread_join(thread, NULL), 0);
  w->proves = true;
  w->full = false;
  walk_settled(w);
  assert_int_equal(count_said(w, "unreadable"), 0);
}

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      TEST(test_many),           TEST(test_some_changed),      TEST(test_lots),
      TEST(test_links),          TEST(test_secrets),           TEST(test_content),
      TEST(test_changed_before), TEST(test_folder_is_swapped), TEST(test_cut_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
