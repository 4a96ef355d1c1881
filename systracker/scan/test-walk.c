/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pthread.h>
#include <sys/resource.h>

#include "systracker/scan/test-world.h"

/* ---- Tests
 * -------------------------------------------------------------------------------------------- */

static void test_first(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc", "-/etc/no");
  make_dir(w, "/etc/d");
  put_file(w, "/etc/d/f", "text");
  put_file(w, "/etc/no", "not tracked");
  make_dir(w, "/usr");
  assert_int_equal(symlinkat("no/such place", w->root, "etc/l"), 0);
  assert_int_equal(mkfifoat(w->root, "etc/p", 0600), 0);
  walk(w);
  const char *const all[] = {"entry /etc",        "entry /etc/d",         "entry /etc/d/f",
                             "digest /etc/d/f",   "entry /etc/group",     "digest /etc/group",
                             "entry /etc/l",      "no/such place /etc/l", "entry /etc/p",
                             "entry /etc/passwd", "digest /etc/passwd"};
  assert_int_equal(w->said.count, ST_COUNT(all));
  assert_int_equal(w->unnamed, 0);
  for (size_t i = 0; i < ST_COUNT(all); i++)
    assert_string_equal(w->said.items[i], all[i]);
  assert_int_equal(w->result.entries, 7);
  assert_int_equal(w->result.looked_at, 7);
  assert_int_equal(w->result.read, 3);
}

static void test_entry(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  assert_int_equal(fchmodat(w->root, "f", 04751, 0), 0);
  walk(w);
  struct st_id id;
  st_id_of(&id, NULL, "text", 4);
  assert_int_equal(w->last.type, 'f');
  assert_int_equal(w->last.mode, 04751);
  assert_int_equal(w->last.size, 4);
  assert_int_equal(w->last.mtime, 1000000000);
  assert_int_equal(w->last.mtime_nsec, 5);
  assert_true(st_id_equal(&w->last.digest, &id));
}

static void test_unchanged(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  walk_settled(w);
  walk_settled(w);
  assert_true(w->current);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.entries, 3);
  assert_int_equal(w->result.read, 0);
  w->full = true;
  walk(w);
  assert_int_equal(w->result.read, 2);
}

/* Written within the tick of the walk: looked at again, though stat shows nothing. */
static void test_unsettled(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, true);
    struct timespec before = {time(NULL) + 1000, 1};
    assert_int_equal(utimensat(w->root, "etc/passwd", (struct timespec[]){before, before}, 0), 0);
    do_walk(w, index);
    assert_int_equal(st_index_commit(index, head, scope_digest, NULL), 0);
  }
  walk_settled(w);
  assert_true(said(w, "digest /etc/passwd"));
  assert_int_equal(w->result.read > 0, true);
}

static void test_changed(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  walk_settled(w);
  put_file(w, "/etc/passwd", "same length, other\n");
  put_file(w, "/etc/new", "new");
  assert_int_equal(fchmodat(w->root, "etc/group", 0600, 0), 0);
  walk_settled(w);
  assert_true(said(w, "digest /etc/passwd") && said(w, "entry /etc/group"));
  assert_true(said(w, "digest /etc/new"));
  assert_int_equal(count_said(w, "gone"), 0);
}

static void test_gone(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc", "+/srv/*/c", "+/opt");
  make_dir(w, "/etc/d/e");
  put_file(w, "/etc/d/e/f", "x");
  put_file(w, "/etc/d-x", "x");
  make_dir(w, "/srv/a");
  put_file(w, "/srv/a/c", "x");
  make_dir(w, "/opt/o");
  make_dir(w, "/etc/turns");
  put_file(w, "/etc/turns/f", "x");
  walk_settled(w);
  assert_true(said(w, "entry /srv/a/c"));
  drop(w, "/etc/d/e/f", 0);
  drop(w, "/etc/d/e", AT_REMOVEDIR);
  drop(w, "/etc/d", AT_REMOVEDIR);
  drop(w, "/srv/a/c", 0);
  drop(w, "/srv/a", AT_REMOVEDIR);
  drop(w, "/opt/o", AT_REMOVEDIR);
  drop(w, "/opt", AT_REMOVEDIR);
  drop(w, "/etc/turns/f", 0);
  drop(w, "/etc/turns", AT_REMOVEDIR);
  put_file(w, "/etc/turns", "a file now");
  walk_settled(w);
  assert_true(said(w, "gone /etc/d"));
  assert_false(said(w, "gone /etc/d/e"));
  assert_false(said(w, "gone /etc/d-x"));
  assert_true(said(w, "gone /opt"));
  assert_true(said(w, "gone /srv/a/c") || said(w, "gone /srv/a"));
  assert_true(said(w, "gone /etc/turns/f") || said(w, "gone /etc/turns"));
  assert_true(said(w, "entry /etc/turns"));
  walk_settled(w);
  assert_int_equal(count_said(w, "gone"), 0);
}

static void test_cached(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  walk_settled(w);
  assert_int_equal(count_said(w, "content"), 2);
  w->forced = "/etc/passwd";
  walk(w);
  assert_true(said(w, "entry /etc/passwd") && said(w, "digest /etc/passwd"));
  assert_int_equal(w->said.count, 2);
  assert_int_equal(w->result.read, 0);
  assert_true(w->last.has_object);
  w->lost = true;
  walk(w);
  assert_true(said(w, "content /etc/passwd"));
  w->lost = false;
  w->want |= ST_WANT_SECRET;
  walk(w);
  assert_true(said(w, "secret /etc/passwd"));
  assert_int_equal(w->last.digest.keyed, 1);
}

static void test_large(void **state)
{
  struct world *w = *state;
  RULES(w, "+/large");
  char text[2000] = {0};
  memset(text, 'x', sizeof(text) - 1);
  put_file(w, "/large", text);
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT | ST_WANT_DIGEST;
  walk(w);
  assert_int_equal(count_said(w, "content"), 0);
  assert_true(w->last.has_digest);
  assert_false(w->last.has_object);
}

#define MANY 400

/* So much that files are hashed together, some too long for it; each walk reads them all. */
static void put_many(struct world *w)
{
  const size_t longest = ((size_t)1 << 20) + 2;
  ST_AUTO_FREE char *data = st_malloc(longest + MANY);
  for (size_t i = 0; i < longest + MANY; i++)
    data[i] = (char)(i * i >> 7);
  for (size_t i = 0; i < MANY; i++) {
    char path[32];
    snprintf(path, sizeof(path), "/etc/d/%zu", i);
    put_bytes(w, path, data + i, i % 50 == 0 ? longest - i / 50 % 4 : i * i * 37 % 60000);
  }
  w->proves = w->full = true;
  w->max_content = 2 * longest;
}

static void walk_many(struct world *w, unsigned wanted, size_t contents)
{
  w->want = ST_WANT_ENTRY | wanted;
  walk(w);
  assert_int_equal(count_said(w, "digest /etc/d/"), MANY);
  assert_int_equal(count_said(w, "content /etc/d/"), contents);
  assert_int_equal(w->result.read, MANY);
}

static void test_many(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc/d");
  make_dir(w, "/etc/d");
  put_many(w);
  walk_many(w, ST_WANT_DIGEST, 0);
  walk_many(w, ST_WANT_CONTENT, MANY); /* `content` proves what it gets */
  w->prepares = true;
  walk_many(w, ST_WANT_CONTENT, MANY);
  put_file(w, "/etc/d/77", "expected");
  w->expects = "/etc/d/77";
  w->expected = "expected";
  walk_many(w, ST_WANT_UNEXPECTED, MANY - 1);
  assert_false(said(w, "content /etc/d/77"));
}

/* Whether no thread can be started. */
static void refuse_threads(pthread_attr_t *before, bool refuse)
{
  pthread_attr_t attr;
  if (!refuse) {
    assert_int_equal(pthread_setattr_default_np(before), 0);
    return;
  }
  assert_int_equal(pthread_getattr_default_np(before), 0);
  assert_int_equal(pthread_getattr_default_np(&attr), 0);
  assert_int_equal(pthread_attr_setstacksize(&attr, (size_t)1 << 52), 0); /* no memory has that */
  assert_int_equal(pthread_setattr_default_np(&attr), 0);
}

/* The thread that tells reads all by itself, and contents that are on their way fill the memory
 * that they may take: nobody but itself would make room. */
static void test_crowded(void **state)
{
  struct world *w = *state;
  pthread_attr_t before;
  RULES(w, "+/etc/d");
  make_dir(w, "/etc/d");
  for (int i = 0; i < 3; i++) {
    const char *paths[] = {"/etc/d/a", "/etc/d/b", "/etc/d/c"};
    put_file(w, paths[i], "");
    ST_AUTO_CLOSE int fd = openat(w->root, paths[i] + 1, O_WRONLY);
    assert_int_equal(ftruncate(fd, (off_t)(i == 1 ? 63 : 3) << 20), 0);
    age(w, paths[i]);
  }
  w->full = true;
  w->max_content = UINT64_C(1) << 30;
  w->want = ST_WANT_ENTRY | ST_WANT_CONTENT;
  refuse_threads(&before, true);
  walk(w);
  assert_int_equal(count_said(w, "content /etc/d/"), 3);
  w->prepares = true;
  walk(w);
  assert_int_equal(count_said(w, "content /etc/d/"), 3);
  refuse_threads(&before, false);
}

/* Told no more, and nobody waits for what others had at hand, which fills the memory that it may
 * take. */
static void test_telling_fails(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc/d");
  make_dir(w, "/etc/d");
  for (int i = 0; i < 60; i++) {
    ST_AUTO_FREE char *path = st_format("/etc/d/%02d", i);
    put_file(w, path, path);
    ST_AUTO_CLOSE int fd = openat(w->root, path + 1, O_WRONLY);
    assert_int_equal(ftruncate(fd, (off_t)3 << 20), 0);
    age(w, path);
  }
  w->full = true;
  w->max_content = UINT64_C(1) << 30;
  const char *const failing[] = {"/etc/d", "/etc/d/00", "/etc/d/17", "/etc/d/59"};
  for (size_t i = 0; i < 2 * ST_COUNT(failing); i++) {
    ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, true);
    w->prepares = i % 2;
    w->want = ST_WANT_ENTRY | (i % 4 < 2 ? ST_WANT_CONTENT : ST_WANT_DIGEST);
    w->fails = failing[i / 2];
    do_walk(w, index);
    assert_false(said(w, "entry /etc/d/59"));
  }
  w->fails = NULL;
  walk(w);
  assert_int_equal(count_said(w, "digest /etc/d/"), 60);
}

/* Killed after the walk: what was hashed is not hashed again, and all of it is looked at. */
static void test_killed(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  make_dir(w, "/etc/many");
  for (int i = 0; i < 1500; i++) {
    ST_AUTO_FREE char *path = st_format("/etc/many/%04d", i);
    put_file(w, path, path);
  }
  settle();
  {
    ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, true);
    do_walk(w, index);
    assert_int_equal(w->result.read, 1502);
  }
  walk(w);
  assert_false(w->current);
  assert_int_equal(w->result.looked_at, 1504);
  assert_true(w->result.read < 1000);
  walk(w);
  assert_true(w->current);
  assert_int_equal(w->said.count, 0);
}

static void test_deep(void **state)
{
  struct world *w = *state;
  RULES(w, "+/deep");
  const int levels = 1500; /* of 12 bytes: longer than PATH_MAX */
  ST_AUTO_CLOSE int at = dup(w->root);
  for (int i = 0; i < levels; i++) {
    const char *name = i == 0 ? "deep" : "ddddddddddd";
    assert_int_equal(mkdirat(at, name, 0755), 0);
    int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(next >= 0);
    close(at);
    at = next;
  }
  int fd = openat(at, "f", O_WRONLY | O_CREAT, 0600);
  assert_true(fd >= 0);
  close(fd);
  walk_settled(w);
  assert_int_equal(w->result.entries, levels + 1);
  assert_int_equal(w->result.read, 1);
  assert_int_equal(count_said(w, "unobserved"), 0);
  walk(w);
  assert_int_equal(w->said.count, 0);
}

static void test_odd_names(void **state)
{
  struct world *w = *state;
  RULES(w, "+/odd", "-/odd/b*d");
  make_dir(w, "/odd");
  put_file(w, "/odd/new\nline", "");
  put_file(w, "/odd/\xff\x01 \x1b[31m", "");
  put_file(w,
           "/odd/b\xff"
           "d",
           "");
  make_dir(w, "/odd/-rf *");
  walk(w);
  assert_true(said(w, "digest /odd/new\nline"));
  assert_true(said(w, "digest /odd/\xff\x01 \x1b[31m"));
  assert_true(said(w, "entry /odd/-rf *"));
  assert_int_equal(w->result.entries, 4);
}

/* ---- What moves under the walk
 * -------------------------------------------------------------------- */

static void grow(struct world *w)
{
  ST_AUTO_CLOSE int fd = openat(w->root, "f", O_WRONLY | O_APPEND);
  assert_int_equal(write(fd, "more", 4), 4);
}

/* It grew after it was seen, not while it was read: what is told is what was read. */
static void test_changes_before(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  w->while_reading = grow;
  w->want |= ST_WANT_CONTENT;
  walk(w);
  struct st_id id;
  st_id_of(&id, NULL, "textmore", 8);
  assert_int_equal(w->last.size, 8);
  assert_true(st_id_equal(&w->last.digest, &id));
}

static void unlink_it(struct world *w)
{
  unlinkat(w->root, "f", 0);
}

static void test_vanishes(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  w->while_reading = unlink_it;
  walk(w);
  assert_int_equal(w->said.count, 0);
  assert_int_equal(w->result.vanished, 1);
}

static void swap_for_symlink(struct world *w)
{
  unlinkat(w->root, "f", 0);
  assert_int_equal(symlinkat("/etc/passwd", w->root, "f"), 0);
}

static void test_swapped(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  w->while_reading = swap_for_symlink;
  w->want |= ST_WANT_CONTENT;
  walk(w);
  assert_int_equal(count_said(w, "content"), 0);
  assert_int_equal(count_said(w, "digest"), 0);
}

static void swap_for_fifo(struct world *w)
{
  unlinkat(w->root, "f", 0);
  assert_int_equal(mkfifoat(w->root, "f", 0600), 0);
}

static void test_swapped_for_fifo(void **state)
{
  struct world *w = *state;
  RULES(w, "+/f");
  put_file(w, "/f", "text");
  w->while_reading = swap_for_fifo;
  walk(w); /* ends */
  assert_int_equal(count_said(w, "digest"), 0);
}

/* ---- Roots
 * ----------------------------------------------------------------------------------------- */

static void test_roots(void **state)
{
  struct world *w = *state;
  RULES(w, "+/bin", "+/bin/sub", "+/none/such", "+/usr/bin", "+/etc/passwd", "+/etc-x");
  RULES(w, "+/usr");
  make_dir(w, "/usr/bin");
  make_dir(w, "/usr/bin/sub");
  put_file(w, "/usr/bin/sub/x", "x");
  assert_int_equal(symlinkat("usr/bin", w->root, "bin"), 0);
  put_file(w, "/etc-x", "x");
  walk_settled(w);
  assert_true(said(w, "usr/bin /bin"));
  assert_true(said(w, "entry /usr/bin/sub/x") && said(w, "entry /etc/passwd"));
  assert_true(said(w, "entry /etc-x"));
  assert_false(said(w, "entry /bin/sub") || said(w, "entry /etc") || said(w, "entry /etc/group"));
  assert_int_equal(count_said(w, "unobserved"), 0);
  walk_settled(w);
  assert_int_equal(w->said.count, 0);
}

static void test_top(void **state)
{
  struct world *w = *state;
  RULES(w, "+/");
  walk_settled(w);
  assert_true(said(w, "entry /") && said(w, "entry /etc") && said(w, "entry /etc/passwd"));
  assert_int_equal(w->result.entries, 4);
  drop(w, "/etc/passwd", 0);
  walk_settled(w);
  assert_true(said(w, "gone /etc/passwd"));
}

static void test_store(void **state)
{
  struct world *w = *state;
  RULES(w, "+/var", "+/var/lib/store/packs");
  make_dir(w, "/var/lib/store/packs");
  st_scope_set_store(w->scope, "/var/lib/store");
  walk(w);
  assert_true(said(w, "entry /var/lib"));
  assert_false(said(w, "entry /var/lib/store"));
  assert_false(said(w, "entry /var/lib/store/packs"));
}

static void test_generated(void **state)
{
  struct world *w = *state;
  RULES(w, "+/etc");
  struct st_rules *generated = st_rules_new();
  assert_int_equal(st_rules_add(generated, ST_RULE_EXCLUDE, "/etc/*.cache", "test:1", "made", NULL),
                   0);
  st_scope_set_generated(w->scope, generated);
  put_file(w, "/etc/a.cache", "x");
  walk(w);
  assert_false(said(w, "entry /etc/a.cache"));
  assert_int_equal(w->result.generated, 1);
}

/* ---- Not seen: as another user, or with mounts, in a process of its own
 * ----------------------------- */

static void in_child(struct world *w, void (*fn)(struct world *w))
{
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    /* cmocka's own way out of a failed assertion is for its process alone. */
    fn(w);
    _exit(0);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    print_message("no mounts of our own can be made here\n");
    skip();
  }
  assert_int_equal(WEXITSTATUS(status), 0);
}

#define must(c)                                                                                    \
  do {                                                                                             \
    if (!(c)) {                                                                                    \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #c);                              \
      for (size_t i_ = 0; i_ < w->said.count; i_++)                                                \
        fprintf(stderr, "  %s\n", w->said.items[i_]);                                              \
      _exit(1);                                                                                    \
    }                                                                                              \
  } while (0)

static void look_as_nobody(struct world *w)
{
  must(setgid(65534) == 0 && setuid(65534) == 0);
  ST_CLEANUP(st_index_closep) struct st_index *index = begin_walk(w, false);
  must(w->current);
  do_walk(w, index);
  must(said(w, "unobserved /etc/closed"));
  must(said(w, "unobserved /etc/secret") && said(w, "unreadable /etc/secret"));
  must(said(w, "entry /etc/changed") && count_said(w, "gone") == 0);
  must(w->result.unobserved == 2);
  must(st_index_was_put(index, "/etc/closed/in/f"));
}

static void test_unreadable(void **state)
{
  struct world *w = *state;
  if (geteuid() != 0)
    skip();
  RULES(w, "+/etc");
  make_dir(w, "/etc/closed/in");
  put_file(w, "/etc/closed/in/f", "x");
  put_file(w, "/etc/changed", "x");
  put_file(w, "/etc/secret", "x");
  walk_settled(w);
  assert_int_equal(fchmodat(w->root, "etc/closed", 0700, 0), 0);
  assert_int_equal(fchmodat(w->root, "etc/secret", 0600, 0), 0);
  put_file(w, "/etc/changed", "y");
  /* The way to the root and the index, for nobody. */
  assert_int_equal(chmod(w->folder, 0755), 0);
  assert_int_equal(fchmod(w->store, 0755), 0);
  assert_int_equal(fchmodat(w->store, "index", 0644, 0), 0);
  in_child(w, look_as_nobody);
  assert_int_equal(fchmodat(w->root, "etc/closed", 0755, 0), 0);
}

static bool mount_at(struct world *w, const char *path)
{
  ST_AUTO_FREE char *full = st_format("%s/root%s", w->folder, path);
  return mount("none", full, "tmpfs", 0, NULL) == 0;
}

static void unmount_at(struct world *w, const char *path)
{
  ST_AUTO_FREE char *full = st_format("%s/root%s", w->folder, path);
  must(umount2(full, MNT_DETACH) == 0);
}

/* Mounts of our own, that nobody else sees and that end with the process. */
static void own_mounts(struct world *w)
{
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    _exit(77);
  /* The descriptor that we have is of the other namespace, and does not see them. */
  ST_AUTO_FREE char *root = st_format("%s/root", w->folder);
  close(w->root);
  w->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  must(mount_at(w, "/etc/data"));
}

static void walk_named_mount(struct world *w)
{
  own_mounts(w);
  put_file(w, "/etc/data/f", "x");
  walk_settled(w);
  must(said(w, "entered tmpfs /etc/data") && said(w, "entry /etc/data/f"));
  st_strings_add(&w->mounts, "/etc/data");
  walk_settled(w);
  must(count_said(w, "entry") == 0 && count_said(w, "gone") == 0);
  /* Missing: nothing is gone, and nothing below is looked at. */
  unmount_at(w, "/etc/data");
  for (int i = 0; i < 2; i++) {
    walk_settled(w);
    must(said(w, "unobserved /etc/data") && count_said(w, "gone") == 0);
    must(!said(w, "entry /etc/data") && !said(w, "entry /etc/data/under"));
  }
  /* Its folder as well. */
  drop(w, "/etc/data/under", 0);
  drop(w, "/etc/data", AT_REMOVEDIR);
  walk_settled(w);
  must(count_said(w, "gone") == 0);
  must(said(w, "unobserved /etc/data"));
  make_dir(w, "/etc/data");
  must(mount_at(w, "/etc/data"));
  put_file(w, "/etc/data/f", "x");
  walk_settled(w);
  must(said(w, "entry /etc/data/f") && count_said(w, "unobserved") == 0);
  drop(w, "/etc/data/f", 0);
  walk_settled(w);
  must(said(w, "gone /etc/data/f"));
}

static void prepare_mount(struct world *w)
{
  make_dir(w, "/etc/data");
  put_file(w, "/etc/data/under", "x");
}

static void test_named_mount(void **state)
{
  struct world *w = *state;
  if (geteuid() != 0)
    skip();
  RULES(w, "+/etc", "+/etc/data");
  prepare_mount(w);
  in_child(w, walk_named_mount);
}

static void walk_other_mount(struct world *w)
{
  walk_settled(w);
  must(said(w, "entry /etc/data/under"));
  own_mounts(w);
  put_file(w, "/etc/data/f", "x");
  /* It hides what is known, so that is not gone. */
  for (int i = 0; i < 2; i++) {
    walk_settled(w);
    must(said(w, "passed tmpfs /etc/data") && said(w, "unobserved /etc/data"));
    must(!said(w, "entry /etc/data/f") && count_said(w, "gone") == 0);
  }
  unmount_at(w, "/etc/data");
  walk_settled(w);
  must(count_said(w, "gone") == 0 && count_said(w, "unobserved") == 0);
}

static void test_other_mount(void **state)
{
  struct world *w = *state;
  if (geteuid() != 0)
    skip();
  RULES(w, "+/etc");
  prepare_mount(w);
  in_child(w, walk_other_mount);
}

static void walk_mount_above(struct world *w)
{
  own_mounts(w);
  make_dir(w, "/etc/data/app");
  put_file(w, "/etc/data/app/f", "x");
  walk_settled(w);
  must(said(w, "entered tmpfs /etc/data") && said(w, "entry /etc/data/app/f"));
  must(!said(w, "entry /etc/data"));
  st_strings_add(&w->mounts, "/etc/data");
  unmount_at(w, "/etc/data");
  walk_settled(w);
  must(said(w, "unobserved /etc/data") && count_said(w, "gone") == 0);
}

static void test_mount_above(void **state)
{
  struct world *w = *state;
  if (geteuid() != 0)
    skip();
  RULES(w, "+/etc/data/app");
  prepare_mount(w);
  in_child(w, walk_mount_above);
}

/* Of how many descriptors the table has room for (proc(5)). */
static long descriptors(void)
{
  char text[4096];
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
  close(fd);
  text[n > 0 ? n : 0] = 0;
  const char *line = strstr(text, "FDSize:");
  return line ? strtol(line + strlen("FDSize:"), NULL, 10) : -1;
}

/* A child's table is as large as what its parent had open. */
static void walk_with_room(struct world *w)
{
  long before = descriptors();
  must(before > 0 && before < 1024);
  walk(w);
  must(descriptors() >= 1024);
}

static void test_room_for_descriptors(void **state)
{
  struct world *w = *state;
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < 1024)
    skip();
  RULES(w, "+/etc");
  in_child(w, walk_with_room);
}

int main(void)
{
  st_digest_init();
  const struct CMUnitTest tests[] = {
      TEST(test_first),       TEST(test_entry),       TEST(test_unchanged),
      TEST(test_unsettled),   TEST(test_changed),     TEST(test_gone),
      TEST(test_cached),      TEST(test_large),       TEST(test_many),
      TEST(test_killed),      TEST(test_crowded),     TEST(test_telling_fails),
      TEST(test_deep),        TEST(test_odd_names),   TEST(test_changes_before),
      TEST(test_vanishes),    TEST(test_swapped),     TEST(test_swapped_for_fifo),
      TEST(test_roots),       TEST(test_top),         TEST(test_store),
      TEST(test_generated),   TEST(test_unreadable),  TEST(test_named_mount),
      TEST(test_other_mount), TEST(test_mount_above), TEST(test_room_for_descriptors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
