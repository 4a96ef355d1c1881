/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-walk-again.c - walks over what is known already, by several threads. */
#include "systracker/scan/test-world.h"
#include "systracker/scan/tree.h"

/* A directory that is as it was is not listed again, and what changes in it is seen all the same.
 */
static void test_listed(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  make_dir(w, "/etc/a/b");
  make_dir(w, "/etc/c");
  put_file(w, "/etc/a/f", "x");
  put_file(w, "/etc/a/b/f", "x");
  put_file(w, "/etc/c/f", "x");
  walk_settled(w);
  assert_int_equal(w->result.listed, 4);
  walk_settled(w);
  assert_int_equal(w->result.listed, 0);
  assert_int_equal(w->result.entries, 9);
  put_file(w, "/etc/a/f", "other");
  walk_settled(w);
  assert_int_equal(w->result.listed, 0);
  assert_true(said(w, "digest /etc/a/f"));
  assert_int_equal(count_said(w, "entry"), 1);
  put_file(w, "/etc/a/b/new", "x");
  drop(w, "/etc/c/f", 0);
  walk_settled(w);
  assert_int_equal(w->result.listed, 2);
  assert_true(said(w, "entry /etc/a/b/new") && said(w, "gone /etc/c/f"));
  assert_true(said(w, "entry /etc/a/b") && said(w, "entry /etc/c"));
  assert_int_equal(count_said(w, "entry"), 3);
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.listed, 0);
  w->full = true;
  walk_settled(w);
  assert_int_equal(w->result.listed, 4);
}

/* What is excluded in a directory that is not listed stays so; one made anew is a change of it. */
static void test_listed_excluded(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc", "-*.tmp", "+/srv/*/keep");
  put_file(w, "/etc/x.tmp", "x");
  make_dir(w, "/srv/a/keep");
  make_dir(w, "/srv/b");
  walk_settled(w);
  assert_true(said(w, "entry /srv/a/keep"));
  assert_false(said(w, "entry /srv/a") || said(w, "entry /etc/x.tmp"));
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.listed, 0);
  assert_int_equal(w->result.entries, 4);
  make_dir(w, "/srv/b/keep");
  put_file(w, "/etc/y.tmp", "x");
  walk_settled(w);
  assert_int_equal(count_said(w, "entry"), 2); /* /etc, which has other times */
  assert_true(said(w, "entry /srv/b/keep") && said(w, "entry /etc"));
  assert_int_equal(count_said(w, "gone"), 0);
}

/* Rewritten with the same size, within the tick of the walk that saw it before. */
static void test_same_tick(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  for (int i = 0; i < 20; i++) {
    ST_AUTO_CLOSE int fd = openat(w->root, "f", O_WRONLY | O_CREAT, 0644);
    assert_int_equal(pwrite(fd, "one", 3, 0), 3);
    walk(w);
    assert_int_equal(pwrite(fd, "two", 3, 0), 3);
    walk(w);
    struct st_id id;
    st_id_of(&id, NULL, "two", 3);
    assert_true(said(w, "digest /f"));
    assert_true(st_id_equal(&w->last.digest, &id));
  }
}

/* Rewritten with the same size, and its mtime put back. */
static void test_mtime_put_back(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "one");
  walk_settled(w);
  put_file(w, "/f", "two");
  walk_settled(w);
  struct st_id id;
  st_id_of(&id, NULL, "two", 3);
  assert_true(said(w, "digest /f"));
  assert_true(st_id_equal(&w->last.digest, &id));
  assert_int_equal(w->last.mtime, 1000000000);
}

static int by_path(const void *a, const void *b)
{
  const char *x = *(char *const *)a, *y = *(char *const *)b;
  for (; *x && *x == *y; x++, y++)
    ;
  int i = *x == '/' ? 1 : *x ? 2 + (unsigned char)*x : 0;
  int k = *y == '/' ? 1 : *y ? 2 + (unsigned char)*y : 0;
  return i - k;
}

/* Many directories, for several threads: each entry once, in the order of the paths. */
static void test_many(void **state)
{
  struct world *w = *state;
  RULES(w, "+/many");
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  for (int i = 0; i < 600; i++) {
    ST_AUTO_FREE char *dir = st_format("/many/%d/%d/%d", i % 7, i % 30, i);
    make_dir(w, dir);
    for (int k = 0; k < 3; k++) {
      ST_AUTO_FREE char *path = st_format("%s/%d", dir, k);
      put_file(w, path, path);
    }
  }
  w->want = ST_WANT_ENTRY;
  walk_settled(w);
  uint64_t entries = w->result.entries;
  assert_int_equal(count_said(w, "entry"), entries);
  ST_AUTO_STRINGS sorted = {0};
  for (size_t i = 0; i < w->said.count; i++)
    st_strings_add(&sorted, w->said.items[i]);
  qsort(sorted.items, sorted.count, sizeof(char *), by_path);
  for (size_t i = 0; i < sorted.count; i++)
    assert_string_equal(sorted.items[i], w->said.items[i]);
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.entries, entries);
  put_file(w, "/many/6/13/433/1", "changed");
  drop(w, "/many/1/1/1/2", 0);
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  walk_settled(w);
  assert_true(said(w, "content /many/6/13/433/1") && said(w, "gone /many/1/1/1/2"));
  assert_int_equal(w->result.entries, entries - 1);
  assert_int_equal(count_said(w, "entry"), 2);
  w->full = w->prepares = true;
  walk_settled(w);
  assert_int_equal(w->result.read, 600 * 3 - 1);
  assert_int_equal(count_said(w, "content"), 600 * 3 - 1);
  /* An error of one thread ends the walk, and what others have prepared is freed. */
  w->fails = "/many/6/13/433/1";
  ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, false);
  do_walk(w, index);
  assert_false(said(w, "content /many/6/13/433/1"));
}

/* ---- Whatever happens to a tree, what was told adds up to what is there
 * ---------------------------
 */

struct model {
  struct st_strings paths; /* those known, from what was told */
};

static void learn(struct model *m, const struct world *w)
{
  for (size_t i = 0; i < w->said.count; i++) {
    const char *line = w->said.items[i];
    if (strncmp(line, "gone ", 5) == 0) {
      size_t kept = 0;
      for (size_t k = 0; k < m->paths.count; k++) {
        if (st_path_below(m->paths.items[k], line + 5))
          free(m->paths.items[k]);
        else
          m->paths.items[kept++] = m->paths.items[k];
      }
      m->paths.count = kept;
    } else if (strncmp(line, "entry ", 6) == 0 && !st_strings_has(&m->paths, line + 6)) {
      st_strings_add(&m->paths, line + 6);
    }
  }
}

static void list_below(const struct world *w, const char *path, struct st_strings *out)
{
  struct stat st;
  if (fstatat(w->root, path + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return;
  st_strings_add(out, path);
  if (!S_ISDIR(st.st_mode))
    return;
  ST_AUTO_CLOSEDIR DIR *d =
      fdopendir(openat(w->root, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    ST_AUTO_FREE char *inner = st_format("%s/%s", path, e->d_name);
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, "no") != 0)
      list_below(w, inner, out);
  }
}

/* One of few names, so that they meet again: files, directories, symlinks and links of one another.
 */
static char *any_path(unsigned *seed)
{
  static const char *const names[] = {"a", "b", "a-b", "no", "long-name", "z"};
  char *path = st_strdup("/t");
  for (int depth = 1 + rand_r(seed) % 4; depth > 0; depth--) {
    char *longer = st_format("%s/%s", path, names[(size_t)rand_r(seed) % ST_COUNT(names)]);
    free(path);
    path = longer;
  }
  return path;
}

/* What cannot be done is not. */
static void do_something(struct world *w, unsigned *seed)
{
  ST_AUTO_FREE char *path = any_path(seed), *other = any_path(seed);
  ST_AUTO_CLOSE int fd = -1;
  switch (rand_r(seed) % 9) {
  case 0:
  case 1:
    mkdirat(w->root, path + 1, 0755);
    break;
  case 2:
  case 3:
    fd = openat(w->root, path + 1, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0644);
    if (fd >= 0)
      assert_int_equal(write(fd, "x", 1), 1);
    break;
  case 4:
    unlinkat(w->root, path + 1, 0);
    break;
  case 5:
    unlinkat(w->root, path + 1, AT_REMOVEDIR);
    break;
  case 6:
    renameat(w->root, path + 1, w->root, other + 1);
    break;
  case 7:
    linkat(w->root, path + 1, w->root, other + 1, 0);
    break;
  case 8:
    fchmodat(w->root, path + 1, rand_r(seed) % 2 ? 0700 : 0755, 0);
    break;
  }
}

static int by_text(const void *a, const void *b)
{
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void assert_model(const struct model *m, const struct world *w, unsigned round)
{
  ST_AUTO_STRINGS there = {0}, known = {0};
  list_below(w, "/t", &there);
  for (size_t i = 0; i < m->paths.count; i++)
    st_strings_add(&known, m->paths.items[i]);
  qsort(there.items, there.count, sizeof(char *), by_text);
  qsort(known.items, known.count, sizeof(char *), by_text);
  for (size_t i = 0; i < there.count && i < known.count; i++) {
    if (strcmp(there.items[i], known.items[i]) != 0)
      fail_msg("round %u: there is %s, known is %s", round, there.items[i], known.items[i]);
  }
  assert_int_equal(there.count, known.count);
  assert_int_equal(w->result.entries, there.count);
}

static void test_random(void **state)
{
  struct world *w = *state;
  struct model m = {{0}};
  unsigned seed = 7;
  RULES(w, "+/t", "-no");
  make_dir(w, "/t");
  for (unsigned round = 0; round < 60; round++) {
    for (unsigned n = (unsigned)rand_r(&seed) % 12; n > 0; n--)
      do_something(w, &seed);
    walk_settled(w);
    assert_true(round == 0 || w->current);
    assert_int_equal(count_said(w, "unobserved"), 0);
    learn(&m, w);
    assert_model(&m, w, round);
    walk_settled(w);
    assert_int_equal(w->said.count, 0);
    assert_int_equal(w->result.listed, 0);
  }
  assert_true(m.paths.count > 10);
  st_strings_free(&m.paths);
}

static void append_byte(struct world *w)
{
  w->while_reading = NULL;
  ST_AUTO_CLOSE int fd = openat(w->root, "large", O_WRONLY | O_APPEND);
  assert_int_equal(write(fd, "!", 1), 1);
}

/* A large content is read by who prepares it; again where it changes meanwhile, and by the walk
 * where nobody wants it. */
static void test_large_content(void **state)
{
  struct world *w = *state;
  RULES(w, "+/large");
  const size_t n = 5 << 20;
  w->max_content = 2 * n;
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  ST_AUTO_FREE char *text = st_malloc(n + 2);
  for (size_t i = 0; i < n; i++)
    text[i] = (char)('a' + i % 23 + (i >> 20));
  memcpy(text + n, "!", 2);
  struct st_id before, after;
  st_id_of(&before, NULL, text, n);
  st_id_of(&after, NULL, text, n + 1);
  text[n] = 0;
  put_file(w, "/large", text);
  for (int i = 0; i < 3; i++) {
    w->full = true;
    w->prepares = i > 0;
    w->refuses = i > 1;
    walk(w);
    assert_true(st_id_equal(&w->last.digest, &before));
    assert_true(said(w, "content /large"));
  }
  w->refuses = false;
  w->while_reading = append_byte;
  w->want |= ST_WANT_DIGEST;
  walk(w);
  assert_int_equal(w->last.size, n + 1);
  assert_true(st_id_equal(&w->last.digest, &after));
}

/* Content that is not what is expected; where it is, the digest alone. */
static void test_unexpected(void **state)
{
  struct world *w = *state;
  RULES(w, "+/tool", "+/other");
  w->prepares = true;
  w->want = ST_WANT_ENTRY | ST_WANT_UNEXPECTED;
  w->expects = "/tool";
  w->expected = "as packaged";
  put_file(w, "/tool", "as packaged");
  put_file(w, "/other", "as packaged");
  walk_settled(w);
  assert_true(said(w, "digest /tool") && !said(w, "content /tool"));
  assert_true(said(w, "content /other"));

  w->forced = "/tool";
  walk_settled(w); /* asked again, and not read */
  assert_true(said(w, "digest /tool"));
  assert_int_equal(w->result.read, 0);
  assert_false(w->last.has_object);

  w->expected = "of another version"; /* as it is, it deviates now */
  walk_settled(w);
  assert_true(said(w, "content /tool"));
  assert_true(w->last.has_object);
  walk_settled(w);
  assert_int_equal(w->result.read, 0);
  assert_true(w->last.has_object);

  put_file(w, "/tool", "of another version");
  walk_settled(w);
  assert_true(said(w, "digest /tool") && !said(w, "content /tool"));
  w->want |= ST_WANT_CONTENT; /* somebody wants it whatever is expected */
  walk_settled(w);
  assert_true(said(w, "content /tool"));
}

#define LARGE ((size_t)5 << 20)

/* A large one is read for its digest before it is handed over. */
static void test_large_unexpected(void **state)
{
  struct world *w = *state;
  RULES(w, "+/large");
  w->prepares = true;
  w->max_content = 2 * LARGE;
  w->want = ST_WANT_ENTRY | ST_WANT_UNEXPECTED;
  ST_AUTO_FREE char *text = st_malloc(LARGE + 1);
  memset(text, 'a', LARGE);
  text[LARGE] = 0;
  w->expects = "/large";
  w->expected = text;
  put_file(w, "/large", text);
  walk_settled(w);
  assert_true(said(w, "digest /large") && !said(w, "content /large"));
  w->expected = "else";
  w->forced = "/large";
  walk_settled(w);
  assert_true(said(w, "content /large") && w->last.has_object);
}

/* Says of the file that it was written with that content. */
static void note_written(struct world *w, const char *path, const char *text)
{
  struct st_meta m;
  struct st_written_entry entry = {.has_digest = true};
  assert_int_equal(st_meta_read(w->root, path + 1, &m), 0);
  st_id_of(&entry.digest, NULL, text, strlen(text));
  st_written_add(w->written, &m, &entry);
}

static bool has_digest_of(const struct world *w, const char *text)
{
  struct st_id id;
  st_id_of(&id, NULL, text, strlen(text));
  return st_id_equal(&w->last.digest, &id);
}

/* What was written by ourselves is not read: a content that it never had tells. */
static void test_written(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  w->written = st_written_new(false);
  put_file(w, "/f", "real");
  note_written(w, "/f", "said");
  assert_int_equal(st_written_count(w->written), 1);
  walk(w);
  assert_true(has_digest_of(w, "said"));
  assert_int_equal(w->result.read, 0);
  /* Content: the store has it, or it is read after all. */
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  drop(w, "/f", 0);
  put_file(w, "/f", "real");
  note_written(w, "/f", "said");
  walk(w);
  assert_true(has_digest_of(w, "said") && w->last.has_object);
  w->lost = true;
  drop(w, "/f", 0);
  put_file(w, "/f", "real");
  note_written(w, "/f", "said");
  walk(w);
  assert_true(has_digest_of(w, "real") && said(w, "content /f"));
}

/* What came from the store is not asked for there. */
static void test_written_from_store(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  w->written = st_written_new(true);
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  w->lost = true;
  put_file(w, "/f", "real");
  note_written(w, "/f", "said");
  walk(w);
  assert_true(has_digest_of(w, "said") && w->last.has_object);
  assert_int_equal(w->result.read, 0);
}

/* Room that is made, at any time, loses nothing of what is known. */
static void test_written_room(void **state)
{
  struct world *w = *state;
  struct st_meta m;
  struct st_written_entry found;
  w->written = st_written_new(true);
  put_file(w, "/f", "real");
  assert_int_equal(st_meta_read(w->root, "f", &m), 0);
  note_written(w, "/f", "said");
  for (size_t room = 0; room <= 4096; room += 512) {
    st_written_reserve(w->written, room);
    assert_int_equal(st_written_count(w->written), 1);
    assert_true(st_written_find(w->written, &m, &found) && found.has_digest);
  }
  m.inode += 1 << 16;
  assert_false(st_written_find(w->written, &m, &found));
}

/* What was proved before the walk is not read either; content is, where the store does not have it.
 */
static void test_proved(void **state)
{
  struct world *w = *state;
  struct st_meta m;
  struct st_written_entry entry = {.has_digest = true};
  RULES(w, "+/f");
  w->written = st_written_new(true);
  w->proved = st_written_new(false);
  put_file(w, "/f", "real");
  assert_int_equal(st_meta_read(w->root, "f", &m), 0);
  st_id_of(&entry.digest, NULL, "said", 4);
  st_written_add(w->proved, &m, &entry);
  walk(w);
  assert_true(has_digest_of(w, "said"));
  assert_int_equal(w->result.read, 0);
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  w->lost = true;
  w->forced = "/f";
  walk(w);
  assert_true(has_digest_of(w, "real") && said(w, "content /f"));
}

/* Where anything of it is another, or all is to be read, it is. */
static void test_written_changed(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  w->written = st_written_new(false);
  put_file(w, "/f", "real");
  note_written(w, "/f", "said");
  w->full = true;
  walk(w);
  assert_true(has_digest_of(w, "real"));
  w->full = false;
  for (int i = 0; i < 3; i++) {
    note_written(w, "/f", "said");
    settle();
    put_file(w, "/f", i == 0 ? "Real" : i == 1 ? "longer" : "real");
    walk(w);
    assert_false(has_digest_of(w, "said"));
  }
  /* A write in the tick of a file that is as of now could not be told. */
  size_t before = st_written_count(w->written);
  ST_AUTO_CLOSE int fd = openat(w->root, "f", O_WRONLY | O_TRUNC);
  assert_int_equal(write(fd, "now", 3), 3);
  note_written(w, "/f", "said");
  assert_int_equal(st_written_count(w->written), before);
  put_file(w, "/f", "real");
  assert_int_equal(fchmod(fd, 0664), 0); /* others may write to it */
  note_written(w, "/f", "said");
  assert_int_equal(st_written_count(w->written), before);
  /* A secret's digest is another one. */
  assert_int_equal(fchmod(fd, 0644), 0);
  w->want |= ST_WANT_SECRET;
  put_file(w, "/f", "real");
  note_written(w, "/f", "said");
  walk(w);
  assert_true(w->last.has_digest && w->last.digest.keyed);
}

/* ---- Put back ---------------------------------------------------------------------------------
 */

/* Of what is there now, that it was put with that content or target, and has nothing more. */
static void note_put(struct world *w, const char *path, const char *text, bool plain)
{
  struct st_meta m;
  struct st_written_entry entry = {.has_digest = text, .plain = plain};
  assert_int_equal(st_meta_read(w->root, path + 1, &m), 0);
  if (text)
    st_id_of(&entry.digest, NULL, text, strlen(text));
  st_written_add(w->written, &m, &entry);
}

static void put_link(struct world *w, const char *path, const char *target)
{
  assert_int_equal(symlinkat(target, w->root, path + 1), 0);
  age(w, path);
}

/* /etc/t with a file, a symlink and a directory, all other inodes than before. */
static void put_tree(struct world *w, const char *text, const char *target)
{
  unlinkat(w->root, "etc/t/d/f", 0);
  unlinkat(w->root, "etc/t/f", 0);
  unlinkat(w->root, "etc/t/l", 0);
  unlinkat(w->root, "etc/t/d", AT_REMOVEDIR);
  unlinkat(w->root, "etc/t", AT_REMOVEDIR);
  make_dir(w, "/etc/t/d");
  put_file(w, "/etc/t/d/f", "below");
  put_file(w, "/etc/t/f", text);
  put_link(w, "/etc/t/l", target);
}

/* `plain`: the file is. */
static void note_tree_as(struct world *w, const char *text, const char *target, bool plain)
{
  st_written_free(w->written);
  w->written = st_written_new(true);
  note_put(w, "/etc/t/d/f", "below", true);
  note_put(w, "/etc/t/f", text, plain);
  note_put(w, "/etc/t/l", target, true);
  note_put(w, "/etc/t/d", NULL, true);
  note_put(w, "/etc/t", NULL, true);
}

static void note_tree(struct world *w)
{
  note_tree_as(w, "text", "to", true);
}

static void know_tree(struct world *w)
{
  RULES(w, "+/etc/t");
  w->timeless = 1;
  put_tree(w, "text", "to");
  walk_settled(w);
  assert_int_equal(count_said(w, "entry"), 5);
}

static void test_put_back(void **state)
{
  struct world *w = *state;
  know_tree(w);
  put_tree(w, "text", "to");
  note_tree(w);
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.entries, 5);
  /* The index has what is there now, with the digests. */
  st_written_free(w->written);
  w->written = NULL;
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.listed, 0);
  w->forced = "/etc/t/f";
  walk_settled(w);
  assert_true(has_digest_of(w, "text"));
  assert_int_equal(w->result.read, 0);
}

/* Of another root the index passes nothing by its stat data, but what was put there. */
static void test_put_elsewhere(void **state)
{
  struct world *w = *state;
  know_tree(w);
  w->elsewhere = true;
  walk_settled(w);
  assert_int_equal(count_said(w, "entry"), 5);
  put_tree(w, "text", "to");
  note_tree(w);
  make_dir(w, "/etc/t/new");
  drop(w, "/etc/t/d/f", 0);
  walk_settled(w);
  assert_true(said(w, "entry /etc/t/new") && said(w, "gone /etc/t/d/f"));
  assert_true(said(w, "entry /etc/t") && said(w, "entry /etc/t/d"));
  assert_int_equal(count_said(w, "entry"), 3);
}

/* Walks over the tree put anew: that path is looked at, and no other. */
static void expect_look(struct world *w, const char *path)
{
  ST_AUTO_FREE char *entry = st_format("entry %s", path);
  walk_settled(w);
  if (!said(w, entry) || count_said(w, "entry") != 1)
    fail_msg("%zu entries were looked at, %s %s", count_said(w, "entry"), path,
             said(w, entry) ? "among them" : "not");
}

/* Where anything of it is not what the index says, or is not known, it is looked at. */
static void test_put_otherwise(void **state)
{
  struct world *w = *state;
  know_tree(w);
  put_tree(w, "next", "to"); /* of the same length */
  note_tree_as(w, "next", "to", true);
  expect_look(w, "/etc/t/f");
  put_tree(w, "text", "ot");
  note_tree_as(w, "text", "ot", true);
  walk_settled(w);
  assert_true(said(w, "ot /etc/t/l") && said(w, "entry /etc/t/f")); /* which was "next" */
  assert_int_equal(count_said(w, "entry"), 2);
}

static void test_put_changed(void **state)
{
  struct world *w = *state;
  know_tree(w);
  for (int i = 0; i < 5; i++) {
    put_tree(w, "text", "to");
    note_tree(w);
    settle();
    if (i == 0)
      assert_int_equal(fchmodat(w->root, "etc/t/f", 0600, 0), 0);
    if (i == 1) { /* nothing but the ctime is another */
      assert_int_equal(fchmodat(w->root, "etc/t/f", 0600, 0), 0);
      assert_int_equal(fchmodat(w->root, "etc/t/f", 0644, 0), 0);
    }
    if (i == 2)
      put_file(w, "/etc/t/f", "next");
    if (i == 3)
      w->forced = "/etc/t/f";
    if (i == 4)
      note_tree_as(w, "text", "to", false); /* it has attributes */
    expect_look(w, "/etc/t/f");
    w->forced = NULL;
    put_tree(w, "text", "to");
    walk_settled(w);
  }
}

/* A link more, a directory that somebody wants the size of, all again. */
static void test_put_seen(void **state)
{
  struct world *w = *state;
  know_tree(w);
  put_tree(w, "text", "to");
  assert_int_equal(linkat(w->root, "etc/t/f", w->root, "etc/outside", 0), 0);
  note_tree(w);
  expect_look(w, "/etc/t/f");
  drop(w, "/etc/outside", 0);
  w->timeless = 0;
  put_tree(w, "text", "to");
  note_tree(w);
  walk_settled(w);
  assert_true(said(w, "entry /etc/t") && said(w, "entry /etc/t/d"));
  assert_true(said(w, "entry /etc/t/f")); /* which had another link */
  assert_int_equal(count_said(w, "entry"), 3);
  w->timeless = 1;
  w->full = true;
  put_tree(w, "text", "to");
  note_tree(w);
  walk_settled(w);
  assert_int_equal(count_said(w, "entry"), 5);
  assert_int_equal(w->result.read, 2);
}

/* Where a file with these times may be written to once more, behind a walk that begins at 1001.5,
 * and look the same, it has to be read again. */
static void test_settled(void **state)
{
  static const struct {
    bool settled;
    int64_t ctime;
    uint32_t ctime_nsec;
    int64_t mtime;
    uint32_t mtime_nsec;
  } cases[] = {
      {true, 1001, 499999999, 1001, 499999999},
      {false, 1001, 500000000, 1001, 499999999},
      {true, 1001, 499999999, 1000, 0}, /* set by somebody */
      {true, 1001, 499999999, 17, 0},
      {false, 1001, 499999999, 1001, 0},
      {false, 1001, 0, 1001, 0}, /* ext3, ... */
      {true, 999, 0, 999, 0},
      {false, 1000, 0, 1000, 0},         /* FAT: any time before 1002 */
      {false, 1001, 490000000, 1000, 0}, /* the same, of Linux 4.20 to 5.18: ctime before 1001.5 */
      {true, 999, 490000000, 998, 0},
  };
  const struct st_walk_state w = {.start = {1001, 500000000}};
  (void)state;
  for (size_t i = 0; i < ST_COUNT(cases); i++) {
    const struct st_meta m = {.ctime = cases[i].ctime,
                              .ctime_nsec = cases[i].ctime_nsec,
                              .mtime = cases[i].mtime,
                              .mtime_nsec = cases[i].mtime_nsec};
    assert_int_equal(st_is_settled(&w, &m), cases[i].settled);
  }
}

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      TEST(test_listed),
      TEST(test_listed_excluded),
      TEST(test_same_tick),
      TEST(test_mtime_put_back),
      cmocka_unit_test(test_settled),
      TEST(test_many),
      TEST(test_random),
      TEST(test_large_content),
      TEST(test_unexpected),
      TEST(test_large_unexpected),
      TEST(test_written),
      TEST(test_written_from_store),
      TEST(test_written_room),
      TEST(test_proved),
      TEST(test_written_changed),
      TEST(test_put_back),
      TEST(test_put_elsewhere),
      TEST(test_put_otherwise),
      TEST(test_put_changed),
      TEST(test_put_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
