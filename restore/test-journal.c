/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "restore/journal.h"
#include "restore/staged.h"
#include "systracker/base/file.h"

/* Linked in place of the plug-in host's. */
void st_plan_clear(struct st_plan *plan)
{
  for (size_t i = 0; i < plan->count; i++) {
    free(plan->items[i].plugin);
    free(plan->items[i].words);
    free(plan->items[i].data);
  }
  free(plan->items);
  *plan = (struct st_plan){0};
}

static void fill(struct st_journal *j)
{
  *j = (struct st_journal){.time = 1700000000, .checkpoint = 2, .undoable = true};
  memset(j->token, 7, sizeof(j->token));
  j->kind = ST_JOURNAL_PHASES;
  j->exact = true;
  j->before = 5;
  st_package_steps_add(&j->packages, &(struct st_package_step){.kind = ST_PACKAGE_UPGRADE,
                                                               .name = (char *)"nano",
                                                               .architecture = (char *)"amd64",
                                                               .before = (char *)"7.2-1",
                                                               .after = (char *)"1:7.2~rc1+b1",
                                                               .installed = true});
  struct st_action *a = st_actions_add(&j->actions, ST_ACTION_REPLACE, "/etc/odd\n\xff name");
  a->before = (struct st_state){.type = 'l', .known = 14, .target = st_strdup("a\tb"), .mtime = -5};
  a->after = (struct st_state){.type = 'f',
                               .known = 31,
                               .mode = 04755,
                               .uid = UINT32_MAX,
                               .owner = st_strdup("bob"),
                               .mtime_nsec = 999999999,
                               .size = 12,
                               .digest = {1, {9, 8, 7}}};
  st_actions_add(&j->actions, ST_ACTION_DELETE, "/etc/new")->before =
      (struct st_state){.type = 'd', .known = 7, .mode = 0700};
  st_state_set_xattrs(&a->after, "\1\0\1\0\0\0ab", 8);
  st_state_set_holes(&a->after, "\1\1", 2);
  a->after.flags = 0x10;
  a->after.known = ST_KNOWN_ALL;
  a->after.links = st_strdup("/etc/group of it");
  a->after.linked_to = st_strdup("/etc/group of it");
  a->after.links_outside = 3;
  st_journal_touch(j, &(struct st_touched){(char *)"/etc", -1, 5, 0x20, 0555});
  j->plugins.items = st_calloc(1, sizeof(*j->plugins.items));
  j->plugins.count = 1;
  j->plugins.items[0] = (struct st_plan_item){st_strdup("example"), st_strdup("set it"), true,
                                              st_memdup("\0x", 2), 2};
}

static void test_round_trip(void **state)
{
  (void)state;
  ST_AUTO_JOURNAL j = {0}, back = {0};
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT, again = ST_BUFFER_INIT;
  struct st_error err = ST_ERROR_INIT;
  fill(&j);
  st_journal_encode(&bytes, &j);
  assert_int_equal(st_journal_decode(bytes.data, bytes.length, &back, &err), 0);
  st_journal_encode(&again, &back);
  assert_int_equal(bytes.length, again.length);
  assert_memory_equal(bytes.data, again.data, bytes.length);
  assert_string_equal(back.actions.items[0]->path, "/etc/odd\n\xff name");
  assert_string_equal(back.actions.items[0]->after.owner, "bob");
  assert_int_equal(back.actions.items[0]->before.mtime, -5);
  assert_int_equal(back.actions.items[1]->after.type, 0);
  assert_int_equal(back.plugins.items[0].length, 2);
}

/* Cut off anywhere, or with any one bit changed, it is refused and nothing is left behind. */
static void test_damage(void **state)
{
  (void)state;
  ST_AUTO_JOURNAL j = {0};
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  fill(&j);
  st_journal_encode(&bytes, &j);
  for (size_t n = 0; n < bytes.length; n++) {
    struct st_journal back = {0};
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    assert_true(st_journal_decode(bytes.data, n, &back, &err) < 0);
    bytes.data[n] ^= 1 << (n % 8);
    assert_true(st_journal_decode(bytes.data, bytes.length, &back, &err) < 0);
    bytes.data[n] ^= 1 << (n % 8);
    assert_null(back.actions.items);
  }
}

/* Its checksum fits, its content does not. */
static int decode_signed(struct st_buffer *body, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, body->data, body->length);
  st_cbor_bytes(body, digest, sizeof(digest));
  struct st_journal back = {0};
  int r = st_journal_decode(body->data, body->length, &back, err);
  st_journal_clear(&back);
  return r;
}

static void test_lies(void **state)
{
  (void)state;
  ST_AUTO_JOURNAL j = {0};
  fill(&j);
  for (size_t cut = 1; cut < 400; cut++) {
    ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
    ST_AUTO_ERROR err = ST_ERROR_INIT;
    st_journal_encode(&bytes, &j);
    if (cut + 34 >= bytes.length)
      break;
    bytes.length -= 34 + cut;
    assert_true(decode_signed(&bytes, &err) < 0);
  }
  free(j.actions.items[0]->path);
  j.actions.items[0]->path = st_strdup("/etc/../../escape");
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  st_journal_encode(&bytes, &j);
  bytes.length -= 34;
  assert_true(decode_signed(&bytes, &err) < 0);
}

static bool is_there(int dir, const char *path)
{
  return faccessat(dir, path, F_OK, 0) == 0;
}

/* Durable before it counts, and none of the journals until then. */
static void test_draft(void **state)
{
  (void)state;
  char template[] = "/tmp/test-journal-XXXXXX";
  struct st_error err = ST_ERROR_INIT;
  ST_AUTO_JOURNAL j = {0}, other = {0}, back = {0};
  int64_t newest;
  assert_non_null(mkdtemp(template));
  ST_AUTO_CLOSE int dir = open(template, O_RDONLY | O_DIRECTORY);
  fill(&j);
  fill(&other);
  assert_int_equal(st_journal_draft(dir, &other, &err), 0);
  assert_int_equal(st_journal_newest(dir, &newest, &err), 0);
  assert_int_equal(newest, 0);
  assert_true(is_there(dir, "journal/0001.new/plan"));
  st_journal_drop_draft(dir, &other);
  assert_false(is_there(dir, "journal/0001.new"));
  st_journal_drop_draft(dir, &other); /* there is none */
  assert_int_equal(st_journal_draft(dir, &other, &err), 0);
  /* What a killed one left is not what is written. */
  j.checkpoint = 77;
  assert_int_equal(st_journal_draft(dir, &j, &err), 0);
  assert_int_equal(st_journal_write(dir, &j, &err), 0);
  assert_int_equal(j.number, 1);
  assert_false(j.drafted || is_there(dir, "journal/0001.new"));
  assert_int_equal(st_journal_read(dir, 1, &back, &err), 0);
  assert_int_equal(back.checkpoint, 77);
  assert_int_equal(back.state, ST_JOURNAL_PLANNED);
  st_remove_folder(AT_FDCWD, template, 2); /* journal, 0001 */
  assert_int_equal(faccessat(AT_FDCWD, template, F_OK, 0), -1);
}

static void test_in_the_store(void **state)
{
  (void)state;
  char template[] = "/tmp/test-journal-XXXXXX";
  struct st_error err = ST_ERROR_INIT;
  ST_AUTO_JOURNAL j = {0}, back = {0};
  int64_t newest;
  assert_non_null(mkdtemp(template));
  int dir = open(template, O_RDONLY | O_DIRECTORY);
  fill(&j);
  assert_int_equal(st_journal_newest(dir, &newest, &err), 0);
  assert_int_equal(newest, 0);
  assert_int_equal(st_journal_write(dir, &j, &err), 0);
  assert_int_equal(j.number, 1);
  int done = st_journal_open_done(dir, &j, &err);
  assert_int_equal(st_journal_note(done, 0, &err), 0);
  assert_int_equal(st_journal_note(done, 1, &err), 0);
  assert_int_equal(st_journal_note(done, ST_JOURNAL_ACCOUNTS_DONE, &err), 0);
  assert_int_equal(write(done, "torn", 4), 4);
  close(done);
  assert_int_equal(st_journal_set_state(dir, &j, ST_JOURNAL_APPLYING, &err), 0);
  assert_int_equal(st_journal_read(dir, 1, &back, &err), 0);
  assert_int_equal(back.state, ST_JOURNAL_APPLYING);
  assert_int_equal(back.done, 2);
  assert_true(back.accounts_done);
  assert_int_equal(st_journal_newest(dir, &newest, &err), 0);
  assert_int_equal(newest, 1);
  struct stat st;
  assert_int_equal(fstatat(dir, "journal/0001", &st, 0), 0);
  assert_int_equal(st.st_mode & 07777, 0700);
  static const char *const made[] = {"journal/0001/request", "journal/0001/plan",
                                     "journal/0001/done", "journal/0001/state"};
  for (size_t i = 0; i < ST_COUNT(made); i++)
    assert_int_equal(unlinkat(dir, made[i], 0), 0);
  assert_int_equal(unlinkat(dir, "journal/0001", AT_REMOVEDIR), 0);
  assert_int_equal(unlinkat(dir, "journal", AT_REMOVEDIR), 0);
  close(dir);
  assert_int_equal(rmdir(template), 0);
}

/* The note of what is made ready: there and back, and nothing that is damaged or not ours. */
static void test_staged(void **state)
{
  (void)state;
  struct st_staged items[] = {
      {(char *)"/.systracker-00ff-1", 77, -5, 1700000000, 9, 999999999},
      {(char *)"/srv/odd\n/.systracker-00ff-22", 0, 1, 2, 3, 4},
  };
  const struct st_staged_list l = {items, ST_COUNT(items)};
  ST_AUTO_STAGED_LIST back = {0};
  ST_AUTO_BUFFER b = ST_BUFFER_INIT;
  st_staged_encode(&b, &l);
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  if (st_staged_decode(b.data, b.length, &back, &err) < 0)
    fail_msg("%s", st_error_text(&err));
  assert_int_equal(back.count, 2);
  for (size_t i = 0; i < 2; i++) {
    assert_string_equal(back.items[i].path, items[i].path);
    assert_int_equal(back.items[i].inode, items[i].inode);
    assert_int_equal(back.items[i].before, items[i].before);
    assert_int_equal(back.items[i].before_nsec, items[i].before_nsec);
    assert_int_equal(back.items[i].ours, items[i].ours);
    assert_int_equal(back.items[i].ours_nsec, items[i].ours_nsec);
  }
  for (size_t i = 0; i < b.length; i++) {
    ST_AUTO_STAGED_LIST none = {0};
    assert_int_equal(st_staged_decode(b.data, i, &none, NULL), -1);
    b.data[i] ^= 1;
    assert_int_equal(st_staged_decode(b.data, b.length, &none, NULL), -1);
    assert_int_equal(none.count, 0);
    b.data[i] ^= 1;
  }
  static const char *const others[] = {"/etc", "/srv/systracker-00ff-1", "/../.systracker-00ff-1",
                                       "/srv/.systracker-00ff-1/x", ".systracker-00ff-1"};
  for (size_t i = 0; i < ST_COUNT(others); i++) {
    ST_AUTO_STAGED_LIST none = {0};
    ST_AUTO_BUFFER bad = ST_BUFFER_INIT;
    items[1].path = (char *)others[i];
    st_staged_encode(&bad, &l);
    assert_int_equal(st_staged_decode(bad.data, bad.length, &none, NULL), -1);
  }
}

/* As version 3 wrote it: a step has no package manager, which was dpkg. */
static void test_version_3(void **state)
{
  (void)state;
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_AUTO_JOURNAL j = {0};
  static const uint8_t token[ST_JOURNAL_TOKEN_SIZE];
  uint8_t digest[ST_DIGEST_SIZE];
  st_cbor_array(&out, 17);
  st_cbor_string(&out, "systracker-restore");
  const int64_t head[] = {3, 1700000000, 2, 0};
  for (size_t i = 0; i < ST_COUNT(head); i++)
    st_cbor_integer(&out, head[i]);
  st_cbor_bool(&out, true);
  st_cbor_bytes(&out, token, sizeof(token));
  st_cbor_integer(&out, ST_JOURNAL_PHASES);
  st_cbor_bool(&out, true);
  st_cbor_bool(&out, false);
  st_cbor_string(&out, "");
  const int64_t rest[] = {0, 5, 1, 0, 0, 0};
  for (size_t i = 0; i < ST_COUNT(rest); i++)
    st_cbor_integer(&out, rest[i]);
  st_cbor_array(&out, 6);
  st_cbor_integer(&out, ST_PACKAGE_PURGE);
  for (const char *const *word = (const char *const[]){"nano", "amd64", "7.2-1", "", NULL}; *word;
       word++)
    st_cbor_string(&out, *word);
  st_cbor_bool(&out, true);
  st_digest(digest, out.data, out.length);
  st_cbor_bytes(&out, digest, sizeof(digest));
  assert_int_equal(st_journal_decode(out.data, out.length, &j, &err), 0);
  assert_int_equal(j.packages.count, 1);
  assert_int_equal(j.packages.items[0].manager, ST_DPKG);
  assert_string_equal(j.packages.items[0].name, "nano");
}

#define LEVELS 1500 /* far more than there may be descriptors */
#define DESCRIPTORS 128

/* With a file and a sibling on every level, and names at the top that are in the way. */
static void make_deep(int top)
{
  int at = openat(top, ".", O_RDONLY | O_DIRECTORY);
  assert_int_equal(mkdirat(top, ".systracker-0", 0700), 0);
  assert_int_equal(mkdirat(top, ".systracker-0/full", 0700), 0);
  assert_int_equal(mknodat(top, ".systracker-1", S_IFREG | 0600, 0), 0);
  for (int i = 0; i < LEVELS; i++) {
    assert_int_equal(mknodat(at, "file", S_IFREG | 0600, 0), 0);
    assert_int_equal(mkdirat(at, "sibling", 0700), 0);
    assert_int_equal(mkdirat(at, "level", 0700), 0);
    int next = openat(at, "level", O_RDONLY | O_DIRECTORY);
    assert_true(next >= 0);
    close(at);
    at = next;
  }
  close(at);
}

static void test_deep_tree(void **state)
{
  char dir[] = "/tmp/test-journal-XXXXXX";
  struct st_staged tree = {.path = (char *)"/.systracker-tree"};
  struct rlimit before, few;
  (void)state;
  assert_non_null(mkdtemp(dir));
  ST_AUTO_CLOSE int root = open(dir, O_RDONLY | O_DIRECTORY);
  assert_int_equal(st_staged_make(root, &tree), 0);
  int top = openat(root, ".systracker-tree", O_RDONLY | O_DIRECTORY);
  make_deep(top);
  close(top);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  few = (struct rlimit){DESCRIPTORS, before.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
  st_staged_remove(root, &tree);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(faccessat(root, ".systracker-tree", F_OK, 0), -1);
  assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
      cmocka_unit_test(test_lies),       cmocka_unit_test(test_version_3),
      cmocka_unit_test(test_draft),      cmocka_unit_test(test_in_the_store),
      cmocka_unit_test(test_staged),     cmocka_unit_test(test_deep_tree),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
