/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "restore/accountlines.h"
#include "restore/moves.h"
#include "systracker/base/cbor.h"

static void add(struct st_account_facts *f, const char *name, uint32_t id)
{
  st_account_facts_add(f, false, name, id);
}

static void test_swap_and_cycle(void **state)
{
  (void)state;
  ST_AUTO_ACCOUNT_FACTS then = {0}, now = {0};
  ST_AUTO_ID_CHANGES c = {0}, back = {0};
  add(&then, "root", 0), add(&then, "a", 5), add(&then, "b", 6), add(&then, "same", 9);
  add(&then, "x", 1), add(&then, "y", 2), add(&then, "z", 3);
  add(&now, "root", 0), add(&now, "a", 6), add(&now, "b", 5), add(&now, "same", 9);
  add(&now, "x", 2), add(&now, "y", 3), add(&now, "z", 1);
  st_account_facts_add(&now, true, "a", 70);
  st_account_facts_add(&then, true, "a", 71);
  st_id_changes_find(&then, &now, true, false, &c);
  assert_int_equal(c.count, 5);
  assert_int_equal(st_id_changed(&c, false, 6), 5);
  assert_int_equal(st_id_changed(&c, false, 5), 6);
  assert_int_equal(st_id_changed(&c, false, 2), 1);
  assert_int_equal(st_id_changed(&c, false, 3), 2);
  assert_int_equal(st_id_changed(&c, false, 1), 3);
  assert_int_equal(st_id_changed(&c, false, 9), 9);
  assert_int_equal(st_id_changed(&c, true, 70), 70); /* groups were not asked for */
  st_id_changes_add_inverse(&back, &c);
  for (uint32_t id = 0; id < 10; id++)
    assert_int_equal(st_id_changed(&back, false, st_id_changed(&c, false, id)), id);
}

/* One that is here alone makes room; where its id is nobody's there, it stays. */
static void test_room(void **state)
{
  (void)state;
  ST_AUTO_ACCOUNT_FACTS then = {0}, now = {0};
  ST_AUTO_ID_CHANGES c = {0};
  struct st_ids_in_use used = {0};
  struct st_error err = ST_ERROR_INIT;
  add(&then, "bar", 105), add(&then, "high", 999);
  add(&now, "foo", 105), add(&now, "other", 106), add(&now, "low", 998);
  st_id_is_used(&used, false, 997);
  st_id_changes_find(&then, &now, true, true, &c);
  assert_int_equal(c.count, 1);
  assert_string_equal(c.items[0].for_whom, "bar");
  assert_int_equal(st_id_changes_make_room(&c, &then, &now, &used, &err), 0);
  assert_int_equal(c.items[0].after, 996);
  ST_AUTO_ID_CHANGES full = {0};
  for (uint32_t id = ST_FIRST_SYSTEM_ID; id <= ST_LAST_SYSTEM_ID; id++)
    st_id_is_used(&used, false, id);
  st_id_changes_find(&then, &now, true, true, &full);
  assert_true(st_id_changes_make_room(&full, &then, &now, &used, &err) < 0);
  assert_non_null(strstr(err.message, "foo"));
  st_error_clear(&err);
}

/* Two names of one id: the one that keeps it counts, and 0 is root's whatever else has it. */
static void test_two_names(void **state)
{
  (void)state;
  ST_AUTO_ACCOUNT_FACTS then = {0}, now = {0};
  ST_AUTO_ID_CHANGES c = {0};
  add(&then, "root", 0), add(&then, "kept", 50), add(&then, "alias", 51), add(&then, "toor", 7);
  add(&now, "alias", 50), add(&now, "kept", 50), add(&now, "toor", 0), add(&now, "root", 0);
  add(&now, "only", 50);
  st_id_changes_find(&then, &now, true, true, &c);
  assert_int_equal(c.count, 0);
}

static void fill(struct st_moves *m)
{
  st_id_changes_add(&m->changes, &(struct st_id_change){false, (char *)"a", 6, 5, NULL});
  st_id_changes_add(&m->changes, &(struct st_id_change){true, (char *)"b", 5, 6, (char *)"c"});
  struct st_move *move = st_moves_add(m, "/x/odd\n\xff");
  *move = (struct st_move){.path = move->path,
                           .type = 'f',
                           .mode = 06755,
                           .immutable = true,
                           .uid_before = 6,
                           .uid = 5,
                           .gid_before = 5,
                           .gid = 6};
  move->values[ST_MOVE_CAPABILITY] =
      (struct st_move_value){st_memdup("cap", 3), st_memdup("cap", 3), 3};
  move = st_moves_add(m, "/");
  *move = (struct st_move){.path = move->path, .type = 'd', .uid_before = 5, .uid = 5};
  st_moves_sort(m);
}

static int decode(const struct st_buffer *bytes, size_t length)
{
  struct st_cbor in = {(const uint8_t *)bytes->data, length};
  struct st_moves back = {0};
  int r = st_moves_decode(&in, &back, NULL);
  if (r == 0 && !st_cbor_at_end(&in))
    r = -1;
  st_moves_free(&back);
  return r;
}

static void test_written_down(void **state)
{
  (void)state;
  struct st_moves m = {0}, back = {0};
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT, again = ST_BUFFER_INIT;
  fill(&m);
  st_moves_encode(&bytes, &m);
  struct st_cbor in = {(const uint8_t *)bytes.data, bytes.length};
  assert_int_equal(st_moves_decode(&in, &back, NULL), 0);
  st_moves_encode(&again, &back);
  assert_int_equal(again.length, bytes.length);
  assert_memory_equal(again.data, bytes.data, bytes.length);
  for (size_t n = 0; n < bytes.length; n++)
    assert_true(decode(&bytes, n) < 0);
  for (size_t i = 0; i < 8 * bytes.length; i++) { /* whatever it says, it does no harm */
    bytes.data[i / 8] = (char)(bytes.data[i / 8] ^ (1 << i % 8));
    decode(&bytes, bytes.length);
    bytes.data[i / 8] = (char)(bytes.data[i / 8] ^ (1 << i % 8));
  }
  assert_int_equal(decode(&bytes, bytes.length), 0);
  st_moves_free(&m);
  st_moves_free(&back);
}

static void test_there_and_back(void **state)
{
  (void)state;
  struct st_moves m = {0};
  uint32_t uid = 6, gid = 5;
  fill(&m);
  assert_int_equal(st_moves_count(&m), 1);
  st_moves_translate(&m, "/x/odd\n\xff", &uid, &gid);
  assert_int_equal(uid, 5), assert_int_equal(gid, 6);
  st_moves_translate_back(&m, "/x/odd\n\xff", &uid, &gid);
  assert_int_equal(uid, 6), assert_int_equal(gid, 5);
  uid = 5, gid = 0; /* had it already: it is still its own */
  st_moves_translate_back(&m, "/", &uid, &gid);
  assert_int_equal(uid, 5), assert_int_equal(gid, 0);
  st_moves_translate_back(&m, "/came/since", &uid, &gid);
  assert_int_equal(uid, 6);
  st_moves_drop(&m, "/");
  assert_null(st_moves_find(&m, "/"));
  assert_int_equal(m.count, 1);
  st_moves_free(&m);
}

static struct st_buffer text(const char *s)
{
  return (struct st_buffer){(char *)s, strlen(s), strlen(s)};
}

static void test_lines(void **state)
{
  (void)state;
  struct st_moves m = {0};
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  fill(&m);
  const struct st_buffer then = text("root:x:0:0::/:/bin/sh\na:x:5:1::/:"),
                         now = text("root:x:0:0::/:/other\nfoo:x:6:5:Foo:/f:/s\n\nbroken\n:x:1:1\n"
                                    "big:x:99999999999:z\nfoo:x:7:7::/:");
  assert_true(st_account_lines_merge("/etc/passwd", &then, &now, &m.changes, &out));
  assert_string_equal(out.data, "root:x:0:0::/:/bin/sh\na:x:5:1::/:\nfoo:x:5:6:Foo:/f:/s\n"
                                "big:x:99999999999:z\n");
  st_buffer_clear(&out);
  assert_true(st_account_lines_merge("/etc/shadow", &then, &now, &m.changes, &out));
  assert_non_null(strstr(out.data, "\nfoo:x:6:5:Foo"));
  st_buffer_clear(&out);
  assert_false(st_account_lines_merge("/etc/passwd", &then, &then, &m.changes, &out));
  assert_false(st_account_lines_merge("/etc/subuid", &then, &now, &m.changes, &out));
  assert_int_equal(out.length, 0);
  st_moves_free(&m);
}

/* Version 2, then the owner's entry, two users', the others'; ordered by id. */
static void test_acl(void **state)
{
  (void)state;
  static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 7,  0, 255, 255, 255, 255, 2,   0,  4,
                                0, 5, 0, 0, 0, 2, 0,  6, 0,   6,   0,   0,   0,   8,  0,
                                1, 0, 5, 0, 0, 0, 32, 0, 0,   0,   255, 255, 255, 255};
  static const uint8_t moved[] = {2, 0, 0, 0, 1, 0, 7,  0, 255, 255, 255, 255, 2,   0,  4,
                                  0, 5, 0, 0, 0, 2, 0,  6, 0,   5,   0,   0,   0,   8,  0,
                                  1, 0, 6, 0, 0, 0, 32, 0, 0,   0,   255, 255, 255, 255};
  struct st_moves m = {0};
  fill(&m);
  assert_true(st_moves_acl_names(&m.changes, acl, sizeof(acl)));
  uint8_t *after = st_moves_acl(&m.changes, acl, sizeof(acl));
  assert_non_null(after);
  assert_memory_equal(after, moved, sizeof(moved));
  free(after);
  assert_null(st_moves_acl(&m.changes, acl, sizeof(acl) - 1));
  assert_null(st_moves_acl(&m.changes, acl, 3));
  assert_null(st_moves_acl(&(struct st_id_changes){0}, acl, sizeof(acl)));
  st_moves_free(&m);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_swap_and_cycle), cmocka_unit_test(test_room),
      cmocka_unit_test(test_two_names),      cmocka_unit_test(test_written_down),
      cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_acl),
      cmocka_unit_test(test_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
