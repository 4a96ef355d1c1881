/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan against a host that is only told: nothing here touches a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "restore/plan.h"

/* What the fake host answers. */
struct fake {
  const char *forbidden; /* this path may not be touched */
  bool intended;
  const char *extra; /* a name that every live directory holds besides what is planned */
  struct st_wishes *wishes;
  uint32_t bob; /* his id now; 0: no such account */
};

static char *forbidden(void *arg, const char *path, bool is_dir, bool deleting, bool *ret_intended)
{
  (void)is_dir;
  (void)deleting;
  const struct fake *f = arg;
  *ret_intended = f->intended;
  return f->forbidden && strcmp(f->forbidden, path) == 0 ? st_strdup("not that one") : NULL;
}

static int children(void *arg, const char *path, struct st_strings *ret, struct st_error *err)
{
  (void)err;
  const struct fake *f = arg;
  size_t n = strlen(path);
  for (size_t i = 0; i < f->wishes->count; i++) {
    const struct st_action *w = f->wishes->items[i];
    if (strncmp(w->path, path, n) == 0 && w->path[n] == '/' && !strchr(w->path + n + 1, '/') &&
        w->before.type != 0)
      st_strings_add(ret, w->path + n + 1);
  }
  if (f->extra)
    st_strings_add(ret, f->extra);
  return 0;
}

static bool find_bob(void *arg, const char *name, uint32_t *ret)
{
  const struct fake *f = arg;
  *ret = f->bob;
  return f->bob != 0 && strcmp(name, "bob") == 0;
}

static struct st_state entry(char type)
{
  return (struct st_state){
      .type = type,
      .known = ST_KNOWN_MODE | ST_KNOWN_OWNER | ST_KNOWN_GROUP | (type == 'd' ? 0 : ST_KNOWN_TIME),
      .mode = type == 'd' ? 0755 : 0644,
      .target = type == 'l' ? st_strdup("there") : NULL,
  };
}

static struct st_state file(uint8_t content)
{
  struct st_state s = entry('f');
  s.known |= ST_KNOWN_DIGEST;
  s.digest.digest[0] = content;
  s.kept = true;
  return s;
}

static const struct st_state nothing;

static struct st_action *wish(struct st_wishes *w, const char *path, struct st_state target,
                              struct st_state live)
{
  struct st_action *added = st_wishes_add(w, path, true);
  added->after = target;
  added->before = live;
  return added;
}

static void plan(struct st_wishes *w, bool exact, struct fake *f, struct st_actions *ret)
{
  struct st_plan_world world = {f, forbidden, children, find_bob, find_bob};
  struct st_plan_options options = {.exact = exact};
  struct st_error err = ST_ERROR_INIT;
  f->wishes = w;
  st_wishes_sort(w);
  assert_int_equal(st_restore_plan(w, &options, &world, ret, &err), 0);
}

static void expect(const struct st_actions *a, size_t n, enum st_action_kind kind, const char *path)
{
  assert_true(n < a->count);
  assert_string_equal(a->items[n]->path, path);
  assert_int_equal(a->items[n]->kind, kind);
}

static void test_nothing_differs(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  wish(&w, "/etc/a", file(1), file(1));
  wish(&w, "/etc/l", entry('l'), entry('l'));
  plan(&w, true, &f, &a);
  assert_int_equal(a.count, 0);
}

static void test_kinds(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  struct st_state late = file(1);
  late.mtime_nsec = 1;
  wish(&w, "/etc/content", file(1), file(2));
  wish(&w, "/etc/gone", file(1), nothing);
  wish(&w, "/etc/late", file(1), late);
  wish(&w, "/etc/new", nothing, file(1));
  plan(&w, false, &f, &a);
  expect(&a, 0, ST_ACTION_REPLACE, "/etc/content");
  expect(&a, 1, ST_ACTION_CREATE, "/etc/gone");
  expect(&a, 2, ST_ACTION_METADATA, "/etc/late");
  assert_int_equal(a.count, 3);
  assert_int_equal(a.left, 1);
}

static void test_order(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  wish(&w, "/a", file(1), file(2));
  wish(&w, "/etc/passwd", file(1), file(2));
  wish(&w, "/new/deep/file", nothing, file(2));
  wish(&w, "/new", nothing, entry('d'));
  wish(&w, "/new/deep", nothing, entry('d'));
  plan(&w, true, &f, &a);
  expect(&a, 0, ST_ACTION_DELETE, "/new/deep/file");
  expect(&a, 1, ST_ACTION_DELETE, "/new/deep");
  expect(&a, 2, ST_ACTION_DELETE, "/new");
  expect(&a, 3, ST_ACTION_REPLACE, "/etc/passwd");
  expect(&a, 4, ST_ACTION_REPLACE, "/a");
}

static void test_content_not_kept(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  struct st_state mode = file(1);
  mode.mode = 0600;
  wish(&w, "/usr/a", file(1), file(2))->after.kept = false;
  wish(&w, "/usr/b", file(1), mode)->after.kept = false;
  plan(&w, false, &f, &a);
  expect(&a, 0, ST_ACTION_METADATA, "/usr/b");
  expect(&a, 1, ST_ACTION_CANNOT, "/usr/a");
}

/* A directory goes only with all that it holds. */
static void test_directory_that_holds_more(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {.extra = "untracked"};
  wish(&w, "/new", nothing, entry('d'));
  wish(&w, "/retyped", entry('l'), entry('d'));
  plan(&w, true, &f, &a);
  expect(&a, 0, ST_ACTION_CANNOT, "/new");
  expect(&a, 1, ST_ACTION_CANNOT, "/retyped");
}

static void test_directory_becomes_symlink(void **state)
{
  (void)state;
  for (int exact = 0; exact <= 1; exact++) {
    ST_AUTO_WISHES w = {0};
    ST_AUTO_ACTIONS a = {0};
    struct fake f = {0};
    wish(&w, "/x", entry('l'), entry('d'));
    wish(&w, "/x/file", nothing, file(1));
    plan(&w, exact, &f, &a);
    expect(&a, 0, exact ? ST_ACTION_DELETE : ST_ACTION_CANNOT, exact ? "/x/file" : "/x");
    if (exact)
      expect(&a, 1, ST_ACTION_REPLACE, "/x");
  }
}

static void test_file_becomes_directory(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  wish(&w, "/x", entry('d'), file(1));
  wish(&w, "/x/file", file(1), nothing);
  plan(&w, false, &f, &a);
  expect(&a, 0, ST_ACTION_REPLACE, "/x");
  expect(&a, 1, ST_ACTION_CREATE, "/x/file");
}

/* Where the directory cannot be made again, neither can what lies in it. */
static void test_missing_parent(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  wish(&w, "/x/file", file(1), nothing);
  st_wishes_add(&w, "/x", false)->after = entry('d');
  wish(&w, "/y/file", file(1), nothing);
  st_wishes_add(&w, "/y", false)->before = entry('l');
  plan(&w, false, &f, &a);
  expect(&a, 0, ST_ACTION_CREATE, "/x");
  expect(&a, 1, ST_ACTION_CREATE, "/x/file");
  expect(&a, 2, ST_ACTION_CANNOT, "/y/file");
}

static void test_forbidden(void **state)
{
  (void)state;
  for (int intended = 0; intended <= 1; intended++) {
    ST_AUTO_WISHES w = {0};
    ST_AUTO_ACTIONS a = {0};
    struct fake f = {.forbidden = "/etc/a", .intended = intended};
    wish(&w, "/etc/a", nothing, file(1));
    plan(&w, true, &f, &a);
    expect(&a, 0, intended ? ST_ACTION_NOTE : ST_ACTION_CANNOT, "/etc/a");
    assert_string_equal(a.items[0]->why, "not that one");
  }
}

static void test_owner_by_name(void **state)
{
  (void)state;
  for (uint32_t bob = 0; bob <= 1001; bob += 1001) {
    ST_AUTO_WISHES w = {0};
    ST_AUTO_ACTIONS a = {0};
    struct fake f = {.bob = bob};
    struct st_state target = file(1), live = file(1);
    target.uid = 1000;
    target.owner = st_strdup("bob");
    live.uid = 1001;
    wish(&w, "/home/bob", target, live);
    plan(&w, false, &f, &a);
    assert_int_equal(a.count, bob ? 0 : 1);
  }
}

static void test_socket(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  wish(&w, "/etc/s", entry('s'), nothing);
  plan(&w, false, &f, &a);
  expect(&a, 0, ST_ACTION_NOTE, "/etc/s");
}

/* Wishes that nobody needs any more become the actions, with all that they hold; the others go. */
static void test_last(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  struct st_state owned = file(1);
  owned.owner = st_strdup("bob");
  wish(&w, "/etc/left", nothing, file(1));
  wish(&w, "/etc/same", file(1), file(1))->after.group = st_strdup("bob");
  wish(&w, "/etc/socket", entry('s'), nothing);
  const struct st_action *made = wish(&w, "/etc/z", owned, nothing);
  w.last = true;
  plan(&w, false, &f, &a);
  assert_int_equal(w.count, 0);
  st_wishes_free(&w);
  expect(&a, 0, ST_ACTION_CREATE, "/etc/z");
  assert_ptr_equal(a.items[0], made);
  assert_string_equal(a.items[0]->after.owner, "bob");
  expect(&a, 1, ST_ACTION_NOTE, "/etc/socket");
  assert_non_null(a.items[1]->why);
  assert_int_equal(a.count, 2);
  assert_int_equal(a.left, 1);
}

/* A file in a group of hard links; NULL: alone. */
static struct st_state linked(uint8_t content, const char *group)
{
  struct st_state s = file(content);
  s.known |= ST_KNOWN_LINKS;
  s.links = group ? st_strdup(group) : NULL;
  return s;
}

static void expect_link(const struct st_actions *a, size_t n, enum st_action_kind kind,
                        const char *path, const char *to)
{
  expect(a, n, kind, path);
  if (to)
    assert_string_equal(a->items[n]->after.linked_to, to);
  else
    assert_null(a->items[n]->after.linked_to);
}

/* Joined: only those that are not the first are linked; behind all others. */
static void test_links_joined(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  wish(&w, "/a", linked(1, "/a"), linked(1, NULL));
  wish(&w, "/b", linked(1, "/a"), linked(2, NULL));
  wish(&w, "/c", linked(1, "/a"), nothing);
  wish(&w, "/d", file(1), nothing);
  wish(&w, "/e", linked(1, "/0"), nothing); /* whose first is as it should be */
  plan(&w, false, &f, &a);
  assert_int_equal(a.count, 4);
  expect_link(&a, 0, ST_ACTION_CREATE, "/d", NULL);
  expect_link(&a, 1, ST_ACTION_REPLACE, "/b", "/a");
  expect_link(&a, 2, ST_ACTION_CREATE, "/c", "/a");
  expect_link(&a, 3, ST_ACTION_CREATE, "/e", "/0");
}

/* Broken: the first keeps what is there, if all others go. */
static void test_links_broken(void **state)
{
  (void)state;
  for (int exact = 0; exact < 2; exact++) {
    ST_AUTO_WISHES w = {0};
    ST_AUTO_ACTIONS a = {0};
    struct fake f = {0};
    wish(&w, "/a", linked(1, NULL), linked(1, "/a"));
    wish(&w, "/b", linked(1, NULL), linked(1, "/a"));
    wish(&w, "/new", nothing, linked(1, "/a"));
    plan(&w, exact, &f, &a);
    size_t n = 0;
    expect_link(&a, n++, exact ? ST_ACTION_DELETE : ST_ACTION_REPLACE, exact ? "/new" : "/a", NULL);
    expect_link(&a, n++, ST_ACTION_REPLACE, "/b", NULL);
    assert_int_equal(a.count, n);
  }
}

/* The first of the group is another now, and was of another then: nobody keeps what is not theirs.
 */
static void test_links_exchanged(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  wish(&w, "/a", linked(1, NULL), linked(1, "/a"));
  wish(&w, "/b", linked(1, "/b"), linked(1, "/a"));
  wish(&w, "/c", linked(1, "/b"), linked(1, NULL));
  plan(&w, true, &f, &a);
  assert_int_equal(a.count, 2);
  expect_link(&a, 0, ST_ACTION_REPLACE, "/b", NULL);
  expect_link(&a, 1, ST_ACTION_REPLACE, "/c", "/b");
}

/* What cannot be had by itself can be had by a link; not to what is not put back. */
static void test_links_without_content(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {.forbidden = "/x"};
  struct st_state missing = linked(1, "/a"), other = linked(3, "/x");
  missing.kept = other.kept = false;
  wish(&w, "/b", missing, nothing);
  wish(&w, "/x", linked(3, "/x"), nothing);
  wish(&w, "/y", other, nothing);
  wish(&w, "/z", linked(3, "/x"), linked(3, NULL));
  plan(&w, true, &f, &a);
  expect_link(&a, 0, ST_ACTION_CREATE, "/b", "/a");
  expect(&a, 1, ST_ACTION_CANNOT, "/x");
  expect(&a, 2, ST_ACTION_CANNOT, "/y");
  assert_string_equal(a.items[2]->why, "its content is not kept");
  expect(&a, 3, ST_ACTION_CANNOT, "/z");
  assert_string_equal(a.items[3]->why, "it cannot be linked to /x, which is not as it was then");
}

/* What a checkpoint of before did not capture stays as it is. */
static void test_not_captured(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {0};
  ST_AUTO_ACTIONS a = {0};
  struct fake f = {0};
  struct st_state live = linked(2, "/a");
  st_state_set_xattrs(&live, "\1\0\1\0\0\0ab", 8);
  live.flags = 0x10;
  live.known |= ST_KNOWN_FLAGS;
  wish(&w, "/a", file(1), live);
  plan(&w, true, &f, &a);
  expect(&a, 0, ST_ACTION_REPLACE, "/a");
  assert_int_equal(a.items[0]->after.flags, 0x10);
  assert_int_equal(a.items[0]->after.xattrs_length, 8);
}

/* More wishes than a block holds, of two parts; each third is to be made, left and as it should. */
static void wish_many(struct st_wishes *w, const char *folder, int count)
{
  for (int i = 0; i < count; i++) {
    ST_AUTO_FREE char *path = st_format("/%s/%04d", folder, i);
    wish(w, path, i % 3 == 1 ? nothing : file(1), i % 3 == 0 ? nothing : file(1));
  }
}

static void expect_same(const struct st_actions *a, const struct st_actions *b)
{
  assert_int_equal(a->count, b->count);
  assert_int_equal(a->left, b->left);
  for (size_t i = 0; i < a->count; i++) {
    const struct st_action *x = a->items[i], *y = b->items[i];
    expect(b, i, x->kind, x->path);
    assert_true(x->why ? y->why && strcmp(x->why, y->why) == 0 : !y->why);
    assert_int_equal(x->before.type, y->before.type);
    assert_int_equal(x->after.type, y->after.type);
    assert_int_equal(st_state_differences(&x->after, &y->after), 0);
  }
}

/* A plan that is asked again says the same, and so does the last one, by the wishes themselves,
 * which lie in more blocks than one. */
static void test_many(void **state)
{
  (void)state;
  for (int exact = 0; exact < 2; exact++) {
    ST_AUTO_WISHES w = {0}, part = {0};
    ST_AUTO_ACTIONS first = {0}, again = {0}, own = {0};
    struct fake f = {.forbidden = "/b/0003"};
    wish_many(&w, "b", 1200);
    wish_many(&part, "a", 1500);
    st_wishes_append(&w, &part);
    st_wishes_add(&w, "/a/0000", false)->after = entry('l'); /* twice: not what was asked for */
    wish(&w, "/c", entry('l'), nothing);
    plan(&w, exact, &f, &first);
    plan(&w, exact, &f, &again);
    expect_same(&first, &again);
    assert_int_equal(w.count, 2701);
    const struct st_action *lies = st_wishes_find(&w, "/a/0000");
    w.last = true;
    plan(&w, exact, &f, &own);
    assert_int_equal(w.count, 0);
    st_wishes_free(&w);
    expect_same(&first, &own);
    assert_int_equal(own.count, exact ? 1801 : 901);
    assert_int_equal(own.left, exact ? 0 : 900);
    expect(&own, exact ? 900 : 0, ST_ACTION_CREATE, "/a/0000");
    assert_ptr_equal(own.items[exact ? 900 : 0], lies);
    assert_string_equal(own.items[own.count - 1]->why, "not that one");
  }
}

/* What one list gives up another holds, and each frees its own. */
static void test_moved(void **state)
{
  (void)state;
  ST_AUTO_WISHES w = {.last = true};
  ST_AUTO_ACTIONS a = {0}, taken = {0};
  struct fake f = {0};
  wish_many(&w, "a", 1500);
  plan(&w, false, &f, &a);
  size_t kept = 0, all = a.count;
  for (size_t i = 0; i < all; i++) {
    if (i % 2)
      st_actions_move(&taken, a.items[i]);
    else
      a.items[kept++] = a.items[i];
  }
  a.count = kept;
  assert_int_equal(taken.count + a.count, all);
  expect(&taken, taken.count - 1, ST_ACTION_CREATE, "/a/1497");
  st_actions_free(&a);
  expect(&taken, 0, ST_ACTION_CREATE, "/a/0003");
  st_actions_add(&taken, ST_ACTION_DELETE, "/z");
  expect(&taken, taken.count - 1, ST_ACTION_DELETE, "/z");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_differs),
      cmocka_unit_test(test_kinds),
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_content_not_kept),
      cmocka_unit_test(test_directory_that_holds_more),
      cmocka_unit_test(test_directory_becomes_symlink),
      cmocka_unit_test(test_file_becomes_directory),
      cmocka_unit_test(test_missing_parent),
      cmocka_unit_test(test_forbidden),
      cmocka_unit_test(test_owner_by_name),
      cmocka_unit_test(test_socket),
      cmocka_unit_test(test_links_joined),
      cmocka_unit_test(test_last),
      cmocka_unit_test(test_links_broken),
      cmocka_unit_test(test_links_exchanged),
      cmocka_unit_test(test_links_without_content),
      cmocka_unit_test(test_not_captured),
      cmocka_unit_test(test_many),
      cmocka_unit_test(test_moved),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
