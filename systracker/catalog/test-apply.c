/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-apply.c - checkpoints travel to another catalog of their host; what was tampered with does
 * not get in. */
#include "systracker/catalog/test-two.h"

static void test_history_is_the_same(void **state)
{
  struct two *t = *state;

  for (unsigned seed = 1; seed <= 3; seed++) {
    make_history(&t->own, seed);
    send_all(t);
    assert_same(t);
    open_copy(t); /* and once more from the file */
    assert_same(t);
  }
  assert_sound(t);
}

/* ---- Refused
 * ------------------------------------------------------------------------------------- */

static void test_flipped_bits(void **state)
{
  struct two *t = *state;
  ST_AUTO_CHANGESET set = {0};

  make_history(&t->own, 9);
  ok(&t->own, st_changeset_read(t->own.c, 1, &set, &t->own.err));
  struct st_buffer *parts[] = {&set.header, &set.declarations, &set.body};
  for (size_t p = 0; p < ST_COUNT(parts); p++)
    for (size_t i = 0; i < parts[p]->length; i += 1 + parts[p]->length / 16) {
      parts[p]->data[i] ^= 4;
      refused(t, &set);
      parts[p]->data[i] ^= 4;
      parts[p]->length--;
      refused(t, &set);
      parts[p]->length++;
    }
  assert_sound(t);
  ok(&t->own, st_catalog_apply(t->copy, &set, &t->own.err));
  send_all(t);
  assert_same(t);
}

static void test_out_of_order(void **state)
{
  struct two *t = *state;
  ST_AUTO_CHANGESET set = {0}, first = {0};

  make_history(&t->own, 5);
  ok(&t->own, st_changeset_read(t->own.c, 2, &set, &t->own.err));
  refused(t, &set); /* spliced: nothing before it */
  ok(&t->own, send(t, 1, &t->own.err));
  ok(&t->own, st_changeset_read(t->own.c, 1, &first, &t->own.err));
  refused(t, &first); /* replayed */
  /* The header of one with the body of another. */
  struct st_buffer body = set.body;
  set.body = first.body;
  refused(t, &set);
  set.body = body;
  ok(&t->own, st_catalog_apply(t->copy, &set, &t->own.err));
  refused(t, &set);
}

/* Signs a header as the host would who means ill. */
static void sign(struct two *t, const struct st_keys *keys, struct st_header *h,
                 struct st_changeset *set)
{
  memcpy(h->public_key, keys->public_key, sizeof(h->public_key));
  st_digest(h->body, set->body.data ? set->body.data : "", set->body.length);
  st_digest(h->declarations, set->declarations.data, set->declarations.length);
  st_buffer_clear(&set->header);
  ok(&t->own, st_header_write(h, keys, &set->header, &t->own.err));
}

static void test_signed_but_wrong(void **state)
{
  struct two *t = *state;
  ST_AUTO_CHANGESET set = {0}, next = {0};
  struct st_header h;
  struct st_keys other;

  make_history(&t->own, 6);
  ok(&t->own, st_changeset_read(t->own.c, 1, &set, &t->own.err));
  ok(&t->own, st_header_read(&h, set.header.data, set.header.length, &t->own.err));
  h.message = NULL;
  ok(&t->own, st_keys_make(&other, &t->own.err));
  sign(t, &other, &h, &set);
  refused(t, &set); /* whole and sound, of another host */

  h.state_root[7] ^= 1;
  sign(t, &t->own.keys, &h, &set);
  refused(t, &set); /* a state that is not that of the facts */
  h.state_root[7] ^= 1;
  sign(t, &t->own.keys, &h, &set);
  ok(&t->own, st_catalog_apply(t->copy, &set, &t->own.err));

  /* Facts that end without having begun: what begins with 2 is not known at all. */
  ok(&t->own, st_changeset_read(t->own.c, 3, &next, &t->own.err));
  struct st_header third, at = h;
  ok(&t->own, st_header_read(&third, next.header.data, next.header.length, &t->own.err));
  assert_sound(t);
  third.number = 2;
  third.message = NULL;
  memcpy(third.previous, at.digest, ST_DIGEST_SIZE);
  sign(t, &t->own.keys, &third, &next);
  refused(t, &next);
}

/* ---- Epochs
 * ---------------------------------------------------------------------------------------- */

static void test_new_epoch(void **state)
{
  struct two *t = *state;
  struct st_checkpoint cp;

  make_history(&t->own, 8);
  ok(&t->own, st_catalog_open_epoch(t->own.c, &t->own.keys, 4, "set back", &cp, &t->own.err));
  assert_int_equal(cp.epoch, 4);
  assert_int_equal(cp.number, CHECKPOINTS + 1);
  assert_int_equal(cp.begun + cp.ended, 0);
  st_checkpoint_clear(&cp);
  start(&t->own);
  put_full(&t->own, "/later", 1);
  cp = commit(&t->own);
  assert_int_equal(cp.epoch, 4);
  send_all(t);
  assert_same(t);
  assert_sound(t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TWO(test_history_is_the_same), TWO(test_flipped_bits), TWO(test_out_of_order),
      TWO(test_signed_but_wrong),    TWO(test_new_epoch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
