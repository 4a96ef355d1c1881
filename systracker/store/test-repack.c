/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-repack.c - what is not wanted goes, and nothing else, whatever happens in between. */
#include "systracker/store/test-scratch.h"

#include <signal.h>
#include <sys/wait.h>

#include "systracker/base/set.h"
#include "systracker/store/repack.h"
#include "systracker/store/transfer.h"

#define LENGTH 4096
#define REVISIONS 30

static struct st_id ids[REVISIONS];
static uint8_t contents[REVISIONS][LENGTH];

/* Wanted are those whose bit is set. */
struct wish {
  uint64_t bits;
};

static bool is_wanted(void *arg, const struct st_id *id)
{
  const struct wish *w = arg;
  for (int i = 0; i < REVISIONS; i++)
    if (st_id_equal(&ids[i], id))
      return w->bits >> i & 1;
  return false;
}

static void put_revisions(struct st_store *store, bool secret)
{
  for (int i = 0; i < REVISIONS; i++) {
    uint8_t *now = contents[i];
    if (i == 0)
      noise(now, LENGTH, 7);
    else
      memcpy(now, contents[i - 1], LENGTH);
    now[i * 100] ^= 0x55;
    ids[i] = put(store, now, LENGTH, secret, i > 0 ? &ids[i - 1] : NULL);
  }
  sync_store(store);
}

static struct st_repack_result repack(struct st_store *store, uint64_t bits)
{
  struct wish w = {bits};
  struct st_repack_options options = {.percent = 1};
  struct st_repack_result result;
  OK(st_store_repack(store, is_wanted, &w, &options, &result, err));
  return result;
}

static void assert_kept(struct st_store *store, uint64_t bits)
{
  for (int i = 0; i < REVISIONS; i++) {
    if (bits >> i & 1)
      assert_holds(store, &ids[i], contents[i], LENGTH);
    else
      assert_false(st_store_has(store, &ids[i]));
  }
}

static void assert_sound(struct st_store *store)
{
  ST_AUTO_BUFFER words = ST_BUFFER_INIT;
  if (verify(store, &words) != 0)
    fail_msg("%s", words.data);
}

static int packs_of(struct scratch *s)
{
  int count = 0;
  for (int n = 1; n < 100; n++) {
    ST_AUTO_FREE char *name = st_format("packs/%08d.pack", n);
    count += faccessat(s->dir, name, F_OK, 0) == 0;
  }
  return count;
}

static const uint64_t wishes[] = {
    0,          1,          1ULL << 29, 0x20000001, 0x3fffffff & ~1ULL,
    0x15555555, 0x2aaaaaaa, 0x30c30c30, 0x20100804, 0x3fffffff & ~(1ULL << 6),
};

static void check_wish(struct scratch *s, bool secret, uint64_t bits)
{
  {
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
    put_revisions(store, secret);
    struct st_repack_result result = repack(store, bits);
    assert_int_equal(result.unwanted, result.dropped);
    assert_true(result.after <= result.before);
    assert_kept(store, bits);
    assert_sound(store);
    assert_int_equal(repack(store, bits).packs, 0);
    /* Goes on as before. */
    struct st_id more = put_text(store, "more", &ids[REVISIONS - 1]);
    sync_store(store);
    assert_holds(store, &more, "more", 4);
    assert_int_equal(packs_of(s), 1);
  }
  drop_index(s);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_kept(store, bits);
  assert_sound(store);
}

static void test_each_wish(void **state)
{
  (void)state;
  for (size_t i = 0; i < ST_COUNT(wishes); i++)
    for (int secret = 0; secret < 2; secret++) {
      void *s = NULL;
      assert_int_equal(set_up(&s), 0);
      check_wish(s, secret, wishes[i]);
      tear_down(&s);
    }
}

/* Deltas of what goes become deltas of what stays, not whole ones each. */
static void test_stays_small(void **state)
{
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(*state, ST_STORE_WRITE);
  put_revisions(store, false);
  struct st_repack_result result = repack(store, 0x3fffffff & ~1ULL);
  assert_true(result.recoded > 0);
  assert_true(result.after < 2 * LENGTH);
}

/* Later revisions find a base on what is left of the chain, and no chain becomes too long. */
static void test_goes_on(void **state)
{
  struct scratch *s = *state;
  static uint8_t later[240][LENGTH];
  struct st_id id, before;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_revisions(store, false);
  repack(store, 1 | 1ULL << 29);
  before = ids[29];
  memcpy(later[0], contents[29], LENGTH);
  for (int i = 0; i < 240; i++) {
    if (i > 0)
      memcpy(later[i], later[i - 1], LENGTH);
    later[i][i * 16] ^= 0xaa;
    id = put(store, later[i], LENGTH, false, &before);
    assert_true(row_of(store, &id).record.has_base || i == 186); /* after step 215 it begins anew */
    assert_holds(store, &id, later[i], LENGTH);
    before = id;
  }
  sync_store(store);
  assert_sound(store);
}

/* Without the key, a secret's delta keeps its base. */
static void test_secrets_without_key(void **state)
{
  struct scratch *s = *state;
  {
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
    put_revisions(store, true);
  }
  {
    ST_CLEANUP(st_store_closep) struct st_store *store = NULL;
    OK(st_store_open(&store, s->dir, ST_STORE_WRITE, NULL, err));
    assert_true(repack(store, 1ULL << 29).dropped > 10);
    assert_int_equal(repack(store, 1ULL << 29).packs, 0);
  }
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_holds(store, &ids[29], contents[29], LENGTH);
  assert_true(st_store_has(store, &ids[0]));
  assert_false(st_store_has(store, &ids[1]));
  assert_sound(store);
}

/* Small packs; what is wanted lies in each. */
static void test_many_packs(void **state)
{
  struct scratch *s = *state;
  struct st_id noises[40];
  static uint8_t data[40][LENGTH];
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  store->packs.full = 5 * LENGTH;
  put_revisions(store, false);
  for (int i = 0; i < 40; i++) {
    noise(data[i], LENGTH, (uint64_t)i + 100);
    noises[i] = put(store, data[i], LENGTH, false, NULL);
  }
  sync_store(store);
  assert_true(packs_of(s) > 5);
  repack(store, 0x2aaaaaaa);
  assert_kept(store, 0x2aaaaaaa);
  assert_sound(store);
  for (int i = 0; i < 40; i++)
    assert_false(st_store_has(store, &noises[i]));
}

/* ---- Damage ------------------------------------------------------------------------------------
 */

static void test_damage_is_left(void **state)
{
  struct scratch *s = *state;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_revisions(store, false);
  struct st_object_row row = row_of(store, &ids[0]);
  flip(s, PACK, (off_t)row.offset + 100);
  struct st_repack_result result = repack(store, 1);
  assert_int_equal(result.left, 1);
  assert_int_equal(result.dropped, 0);
  assert_int_equal(size_of(s, PACK) > LENGTH, 1);
  /* It is left the next time as well. */
  result = repack(store, 1);
  assert_int_equal(result.left, 1);
  assert_int_equal(result.dropped, 0);
  /* What nobody wants may be damaged. */
  assert_int_equal(repack(store, 0).dropped, REVISIONS);
}

static void test_unexplained_bytes_are_left(void **state)
{
  struct scratch *s = *state;
  {
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
    put_revisions(store, false);
    flip(s, PACK, (off_t)row_of(store, &ids[3]).offset + 10);
  }
  drop_index(s);
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  struct st_repack_result result = repack(store, 1);
  assert_int_equal(result.left, 1);
  assert_int_equal(result.dropped, 0);
}

/* ---- Lists of chunks ---------------------------------------------------------------------------
 */

#define LARGE (10U << 20)

static bool is_this(void *arg, const struct st_id *id)
{
  const struct st_id *const *wanted = arg;
  for (; *wanted; wanted++)
    if (st_id_equal(*wanted, id))
      return true;
  return false;
}

/* A list that is of no use, in a pack that stays, keeps its chunks: it would look damaged. */
static void test_list_of_no_use(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = st_malloc(LARGE);
  ST_AUTO_FREE char *other = st_malloc(LENGTH * 100);
  struct st_repack_options options = {.percent = 60};
  struct st_repack_result result;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  noise(data, LARGE, 1);
  noise(other, LENGTH * 100, 2);
  store->packs.full = LARGE;
  struct st_id gone = put(store, data, LARGE, false, NULL);
  struct st_id kept = put(store, other, LENGTH * 100, false, NULL);
  sync_store(store);
  uint32_t pack = row_of(store, &gone).pack;
  assert_true(pack > 1 && row_of(store, &kept).pack == pack); /* the list, without its chunks */
  const struct st_id *wanted[] = {&kept, NULL};
  OK(st_store_repack(store, is_this, wanted, &options, &result, err));
  assert_int_equal(result.packs, 1);
  assert_holds(store, &kept, other, LENGTH * 100);
  assert_sound(store);
  assert_true(st_store_has(store, &gone));
}

/* One that is damaged takes nothing with it before that is known; then its pack is left. */
static void test_damaged_list(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_FREE char *data = st_malloc(LARGE);
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_repack_options options = {.percent = 1};
  struct st_repack_result result;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  noise(data, LARGE, 1);
  put_revisions(store, false);
  struct st_id id = put(store, data, LARGE, false, NULL);
  sync_store(store);
  flip(s, PACK, (off_t)row_of(store, &id).offset + 60);
  const struct st_id *wanted[] = {&id, NULL};
  assert_int_equal(st_store_repack(store, is_this, wanted, &options, &result, &why), -1);
  assert_non_null(strstr(why.message, "nothing is repacked"));
  assert_kept(store, 0x3fffffff);
  OK(st_store_repack(store, is_this, wanted, &options, &result, err));
  assert_int_equal(result.left, 1);
  assert_int_equal(result.dropped, 0);
}

static void test_dry_run(void **state)
{
  struct scratch *s = *state;
  struct wish w = {1ULL << 29};
  struct st_repack_options options = {.dry_run = true};
  struct st_repack_result result;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_revisions(store, false);
  off_t size = size_of(s, PACK);
  OK(st_store_repack(store, is_wanted, &w, &options, &result, err));
  assert_int_equal(result.packs, 1);
  assert_int_equal(result.unwanted, REVISIONS - 1);
  assert_true(result.after < result.before);
  assert_int_equal(size_of(s, PACK), size);
  assert_kept(store, 0x3fffffff);
}

static void test_no_room(void **state)
{
  struct scratch *s = *state;
  struct wish w = {1};
  struct st_repack_options options = {.least_free = UINT64_MAX / 2};
  struct st_repack_result result;
  ST_AUTO_ERROR err = ST_ERROR_INIT;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_revisions(store, false);
  assert_true(st_store_repack(store, is_wanted, &w, &options, &result, &err) < 0);
  assert_non_null(strstr(err.message, "are free"));
  assert_kept(store, 0x3fffffff);
}

/* ---- Kills and readers -------------------------------------------------------------------------
 */

/* The file of a retired pack that its remover did not come to remove. */
static void test_remover_was_killed(void **state)
{
  struct scratch *s = *state;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  {
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
    put_revisions(store, false);
    read_whole(s, PACK, &pack);
    struct st_pack *first;
    uint32_t number = 1;
    OK(st_packs_leave(&store->packs, err));
    OK(st_packs_get(&store->packs, 1, &first, err));
    put_text(store, "other", NULL);
    OK(st_store_sync(store, err));
    OK(st_object_index_retire(store->index, &number, 1, err));
  }
  {
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_READ);
    assert_kept(store, 0);
    assert_sound(store);
  }
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  assert_int_equal(packs_of(s), 1);
  assert_kept(store, 0);
  assert_sound(store);
}

/* A reader that was open before: it has read from the old pack, or not yet. */
static void test_readers(void **state)
{
  struct scratch *s = *state;
  ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
  put_revisions(store, false);
  ST_CLEANUP(st_store_closep) struct st_store *early = open_store(s, ST_STORE_READ);
  ST_CLEANUP(st_store_closep) struct st_store *late = open_store(s, ST_STORE_READ);
  assert_holds(early, &ids[29], contents[29], LENGTH);
  uint64_t bits = 1ULL << 29 | 1ULL << 13;
  assert_int_equal(repack(store, bits).packs, 1);
  assert_kept(early, bits);
  assert_kept(late, bits);
  assert_sound(late);
}

static struct st_store *child_store(struct scratch *s)
{
  struct st_store *store = NULL;
  return st_store_open(&store, s->dir, ST_STORE_WRITE, &s->keys, NULL) < 0 ? NULL : store;
}

/* Killed at many moments: the store is sound each time, and the next one comes to the end. */
static void test_kills(void **state)
{
  struct scratch *s = *state;
  const uint64_t bits = 0x2aaaaaaa;
  {
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
    put_revisions(store, false);
  }
  for (unsigned delay = 0; delay < 60; delay++) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      struct wish w = {bits};
      struct st_repack_options options = {.percent = 1};
      struct st_repack_result result;
      struct st_store *store = child_store(s);
      if (store)
        st_store_repack(store, is_wanted, &w, &options, &result, NULL);
      _exit(0);
    }
    usleep(delay * 200);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    ST_CLEANUP(st_store_closep) struct st_store *store = open_store(s, ST_STORE_WRITE);
    for (int i = 0; i < REVISIONS; i++)
      if (bits >> i & 1)
        assert_holds(store, &ids[i], contents[i], LENGTH);
    assert_sound(store);
    if (delay % 10 == 9) { /* and once more all of it */
      repack(store, bits);
      assert_kept(store, bits);
      put_revisions(store, false);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_each_wish),
      TEST(test_stays_small),
      TEST(test_goes_on),
      TEST(test_many_packs),
      TEST(test_secrets_without_key),
      TEST(test_damage_is_left),
      TEST(test_unexplained_bytes_are_left),
      TEST(test_dry_run),
      TEST(test_no_room),
      TEST(test_remover_was_killed),
      TEST(test_readers),
      TEST(test_kills),
      TEST(test_list_of_no_use),
      TEST(test_damaged_list),
  };
  st_digest_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
