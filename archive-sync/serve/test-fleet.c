/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-fleet.c - what is known of all hosts: learned, found, forgotten, made anew. */
#include "systracker/catalog/test-support.h"

#include <sys/stat.h>
#include <time.h>

#include "archive-sync/expire.h"
#include "archive-sync/serve/fleet-internal.h"
#include "systracker/base/digest.h"
#include "systracker/catalog/prune.h"

/* The fixture's store stands for the archive: one host, and a fleet over it. */
struct world {
  struct fixture f;
  struct st_archive *a;
  struct st_fleet *fleet;
};

#define HOST(w) ((w)->f.keys.host_id)

static void open_fleet(struct world *w)
{
  ok(&w->f, st_fleet_open(&w->fleet, w->a, &w->f.err));
}

static void close_fleet(struct world *w)
{
  st_fleet_close(st_steal(&w->fleet));
}

static int set_up_world(void **state)
{
  struct world *w = st_calloc(1, sizeof(*w));
  *state = w;
  fixture_open(&w->f);
  ok(&w->f, st_archive_open(&w->a, w->f.dir, true, &w->f.err));
  open_fleet(w);
  return 0;
}

static int tear_down_world(void **state)
{
  struct world *w = *state;
  if (w->fleet)
    close_fleet(w);
  st_archive_close(w->a);
  fixture_close(&w->f);
  free(w);
  return 0;
}

static struct st_id id_of(const char *content)
{
  struct st_id id = {0};
  st_digest(id.digest, content, strlen(content));
  return id;
}

static void put_file(struct world *w, const char *path, const struct st_id *id)
{
  struct st_value row[] = {st_path_value(path), st_id_value(id)};
  ok(&w->f, st_catalog_put(w->f.c, table(&w->f, "fake_file"), row, &w->f.err));
}

static void gone_file(struct world *w, const char *path)
{
  struct st_value key = st_path_value(path);
  ok(&w->f, st_catalog_gone(w->f.c, table(&w->f, "fake_file"), &key, &w->f.err));
}

static void gone_package(struct world *w, const char *name)
{
  struct st_value key = st_text_value(name);
  ok(&w->f, st_catalog_gone(w->f.c, table(&w->f, "fake_package"), &key, &w->f.err));
}

static void learn(struct world *w)
{
  ok(&w->f, st_fleet_learn(w->fleet, HOST(w), w->f.c, &w->f.err));
}

static void flush(struct world *w)
{
  ok(&w->f, st_fleet_flush(w->fleet, &w->f.err));
}

/* ---- Answers as text ---------------------------------------------------------------------------
 */

static int note_hit(void *arg, const struct st_fleet_hit *hit, UNUSED struct st_error *err)
{
  if (hit->path)
    st_buffer_append(arg, hit->path, hit->path_length);
  else
    st_buffer_printf(arg, "%s=%s", hit->package, hit->version);
  st_buffer_printf(arg, "@%lld%s ", (long long)hit->number, hit->now ? "" : "!");
  return 0;
}

static bool nobody(UNUSED void *arg, UNUSED const char *host)
{
  return false;
}

enum kind { OF_PATH, OF_PACKAGE, OF_DIGEST };

static int find(struct world *w, enum kind kind, const char *text, const struct st_fleet_query *q,
                struct st_buffer *out)
{
  static int (*const finds[])(struct st_fleet *, const char *, const struct st_fleet_query *,
                              st_fleet_hit_fn *, void *, struct st_error *) = {
      st_fleet_find_path, st_fleet_find_package, st_fleet_find_digest};
  return finds[kind](w->fleet, text, q, note_hit, out, &w->f.err);
}

static void finds_with(struct world *w, enum kind kind, const char *text,
                       const struct st_fleet_query *q, const char *expected)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  ok(&w->f, find(w, kind, text, q, &out));
  assert_string_equal(out.data ? out.data : "", expected);
}

static void finds(struct world *w, enum kind kind, const char *text, const char *expected)
{
  const struct st_fleet_query q = {.limit = 100};
  finds_with(w, kind, text, &q, expected);
}

static void refuses(struct world *w, enum kind kind, const char *text)
{
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  const struct st_fleet_query q = {.limit = 100};
  assert_int_equal(find(w, kind, text, &q, &out), -1);
  assert_non_null(w->f.err.message);
  st_error_clear(&w->f.err);
}

static char *hex_of(const struct st_id *id, size_t digits)
{
  char hex[2 * ST_DIGEST_SIZE + 1];
  st_hex(hex, id->digest, ST_DIGEST_SIZE);
  return st_memdup(hex, digits);
}

/* ---- Heads -------------------------------------------------------------------------------------
 */

static void test_heads(void **state)
{
  struct world *w = *state;
  struct st_fleet_head head;
  struct st_checkpoint cp;
  assert_false(st_fleet_head(w->fleet, HOST(w), &head));
  start(&w->f);
  put_entry(&w->f, "/etc/a", "f", 0644);
  cp = commit(&w->f);
  learn(w);
  assert_true(st_fleet_head(w->fleet, HOST(w), &head));
  assert_int_equal(head.number, 1);
  assert_int_equal(head.epoch, 1);
  assert_int_equal(head.time, cp.time);
  assert_memory_equal(head.digest, cp.header_digest, ST_DIGEST_SIZE);
  assert_false(head.wanted);
  ok(&w->f, st_archive_want(w->a, HOST(w), true, &w->f.err));
  assert_true(st_fleet_head(w->fleet, HOST(w), &head) && head.wanted);

  /* Not flushed, and lost: opening catches up. */
  start(&w->f);
  put_entry(&w->f, "/etc/b", "f", 0644);
  commit(&w->f);
  close_fleet(w);
  open_fleet(w);
  assert_true(st_fleet_head(w->fleet, HOST(w), &head));
  assert_int_equal(head.number, 2);
  finds(w, OF_PATH, "/etc/*", "/etc/a@2 /etc/b@2 ");
}

/* ---- Objects -----------------------------------------------------------------------------------
 */

static bool names(struct world *w, const struct st_id *id)
{
  return st_fleet_names(w->fleet, HOST(w), id);
}

static void test_names(void **state)
{
  struct world *w = *state;
  struct st_id one = id_of("one"), two = id_of("two"), near = one, secret = id_of("secret");
  secret.keyed = 1;
  struct st_id open = secret;
  open.keyed = 0;
  near.digest[31] ^= 1;
  start(&w->f);
  put_file(w, "/etc/a", &one);
  put_file(w, "/etc/shadow", &secret);
  commit(&w->f);
  assert_false(names(w, &one));
  learn(w);
  assert_true(names(w, &one)); /* seen before it is flushed */
  flush(w);
  assert_true(names(w, &one));
  assert_false(names(w, &near));
  assert_true(names(w, &secret));
  assert_false(names(w, &open));
  assert_false(names(w, &two));
  assert_false(st_fleet_names(w->fleet, "00112233445566778899aabbccddeeff", &one));
  assert_false(st_fleet_names(w->fleet, "", &one));

  start(&w->f);
  put_file(w, "/etc/a", &two);
  commit(&w->f);
  learn(w);
  assert_true(names(w, &two));
  flush(w);
  assert_true(names(w, &two));
  assert_true(names(w, &one)); /* of an earlier checkpoint */
}

/* What only pruned checkpoints named is not theirs any more. */
static void prune_all_but_last(struct world *w)
{
  const struct st_retention keep = {.last = 1};
  ST_CLEANUP(st_choices_free) struct st_choices choices = {0};
  ST_CLEANUP(st_prune_result_free) struct st_prune_result result = {0};
  ok(&w->f, st_prune_choose(w->f.c, &keep, NULL, 0, &choices, &w->f.err));
  ok(&w->f, st_catalog_prune(w->f.c, &choices, &result, &w->f.err));
  ok(&w->f, st_catalog_prune_commit(w->f.c, &w->f.err));
}

static void make_prunable(struct world *w)
{
  struct st_id one = id_of("one"), two = id_of("two"), three = id_of("three");
  start(&w->f);
  put_file(w, "/etc/a", &one);
  put_package(&w->f, "bash", "5.1-1", NULL);
  commit(&w->f);
  start(&w->f);
  put_file(w, "/etc/a", &two);
  put_file(w, "/etc/short", &two);
  put_package(&w->f, "bash", "5.2-1", NULL);
  commit(&w->f);
  start(&w->f);
  put_file(w, "/etc/a", &three);
  gone_file(w, "/etc/short");
  put_package(&w->f, "bash", "5.3-1", NULL);
  commit(&w->f);
}

static void assert_pruned(struct world *w)
{
  struct st_id one = id_of("one"), two = id_of("two"), three = id_of("three");
  assert_true(names(w, &one));
  assert_false(names(w, &two));
  assert_true(names(w, &three));
  finds(w, OF_PATH, "/etc/*", "/etc/a@3 ");
  finds(w, OF_PACKAGE, "bash", "bash=5.3-1@3 bash=5.1-1@1! ");
}

static void test_prune_seen_by_learning(void **state)
{
  struct world *w = *state;
  struct st_id two = id_of("two");
  make_prunable(w);
  learn(w);
  flush(w);
  assert_true(names(w, &two));
  finds(w, OF_PATH, "/etc/*", "/etc/a@3 /etc/short@2! ");
  finds(w, OF_PACKAGE, "bash", "bash=5.3-1@3 bash=5.1-1@1! bash=5.2-1@2! ");
  prune_all_but_last(w);
  learn(w);
  flush(w);
  assert_pruned(w);
}

static void test_prune_by_another_program(void **state)
{
  struct world *w = *state;
  struct st_fleet *beside;
  struct st_id two = id_of("two");
  make_prunable(w);
  learn(w);
  flush(w);
  assert_true(names(w, &two)); /* it is in the cache now */
  prune_all_but_last(w);
  ok(&w->f, st_fleet_open_beside(&beside, w->a, &w->f.err));
  st_fleet_close(beside);
  assert_pruned(w);
}

static void test_prune_while_nobody_looks(void **state)
{
  struct world *w = *state;
  make_prunable(w);
  learn(w);
  close_fleet(w);
  prune_all_but_last(w);
  open_fleet(w);
  assert_pruned(w);
}

/* What is known was pruned away: it is learned anew. */
static void test_known_head_is_pruned(void **state)
{
  struct world *w = *state;
  struct st_id one = id_of("one"), two = id_of("two"), four = id_of("four");
  start(&w->f);
  put_file(w, "/etc/a", &one);
  commit(&w->f);
  start(&w->f);
  put_file(w, "/etc/gone", &two);
  commit(&w->f);
  learn(w);
  close_fleet(w);
  start(&w->f);
  gone_file(w, "/etc/gone");
  put_file(w, "/etc/a", &four);
  commit(&w->f);
  prune_all_but_last(w);
  open_fleet(w);
  finds(w, OF_PATH, "*", "/etc/a@3 ");
  assert_false(names(w, &two));
  assert_true(names(w, &one) && names(w, &four));
}

static int64_t expire(struct world *w, int64_t last, bool lazily)
{
  const struct st_retention keep = {.last = last};
  const struct st_expiry_options how = {&keep, lazily, false};
  ST_AUTO_EXPIRY e = {0};
  ok(&w->f, st_expire_host(w->a, w->fleet, HOST(w), &how, &e, &w->f.err));
  return e.result.checkpoints;
}

static void test_expiry(void **state)
{
  struct world *w = *state;
  struct st_id third = id_of("3");
  for (int n = 1; n <= 40; n++) {
    ST_AUTO_FREE char *content = st_format("%d", n);
    struct st_id id = id_of(content);
    start(&w->f);
    put_file(w, "/etc/a", &id);
    commit(&w->f);
  }
  learn(w);
  flush(w);
  st_catalog_close(st_steal(&w->f.c));
  assert_true(names(w, &third));
  assert_int_equal(expire(w, 40, true), 0);
  assert_int_equal(expire(w, 38, true), 0); /* one of 39: not worth it */
  assert_int_equal(expire(w, 36, true), 3); /* three of 37 */
  flush(w);
  assert_false(names(w, &third));
  assert_int_equal(expire(w, 35, true), 0);
  assert_int_equal(expire(w, 35, false), 1);
  assert_int_equal(expire(w, 35, false), 0);
  finds(w, OF_PATH, "/etc/a", "/etc/a@40 ");
  assert_int_equal(expire(w, 1, false), 34); /* the first stays, too */
  flush(w);
  ok(&w->f, st_catalog_open(&w->f.c, w->f.fd, HOST(w), ST_CATALOG_WRITE, &w->f.err));
}

/* ---- Search ------------------------------------------------------------------------------------
 */

static void test_paths(void **state)
{
  struct world *w = *state;
  const struct st_fleet_query page = {.offset = 1, .limit = 1};
  const struct st_fleet_query unseen = {.limit = 9, .visible = nobody};
  start(&w->f);
  put_entry(&w->f, "/etc/passwd", "f", 0644);
  put_entry(&w->f, "/etc/passwd-", "f", 0644);
  put_entry(&w->f, "/etc/st*r", "f", 0644);
  put_entry(&w->f, "/usr/b\xff", "f", 0644);
  commit(&w->f);
  start(&w->f);
  gone_entry(&w->f, "/etc/passwd-");
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_PATH, "/etc/passwd", "/etc/passwd@2 ");
  finds(w, OF_PATH, "/etc/passwd?", "/etc/passwd-@1! ");
  finds(w, OF_PATH, "/etc/passwd*", "/etc/passwd@2 /etc/passwd-@1! ");
  finds(w, OF_PATH, "*s?w*", "/etc/passwd@2 /etc/passwd-@1! ");
  finds(w, OF_PATH, "/etc/st*r", "/etc/st*r@2 ");
  finds(w, OF_PATH, "/etc/st\\*r", "/etc/st*r@2 ");
  finds(w, OF_PATH, "/etc/st\\?r", "");
  finds(w, OF_PATH, "/usr/b\xff", "/usr/b\xff@2 ");
  finds(w, OF_PATH, "/usr/b\xff*", "/usr/b\xff@2 ");
  finds(w, OF_PATH, "\xff*", "");
  finds(w, OF_PATH, "/etc/PASSWD", "");
  finds_with(w, OF_PATH, "*", &page, "/etc/st*r@2 ");
  finds_with(w, OF_PATH, "*", &unseen, "");
  refuses(w, OF_PATH, "");
}

/* A path is there as long as one table has something of it. */
static void test_path_in_two_tables(void **state)
{
  struct world *w = *state;
  struct st_id one = id_of("one");
  start(&w->f);
  put_entry(&w->f, "/etc/a", "f", 0644);
  put_file(w, "/etc/a", &one);
  commit(&w->f);
  start(&w->f);
  gone_file(w, "/etc/a");
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_PATH, "/etc/a", "/etc/a@2 ");
  start(&w->f);
  gone_entry(&w->f, "/etc/a");
  commit(&w->f);
  start(&w->f);
  put_entry(&w->f, "/etc/other", "f", 0644);
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_PATH, "/etc/a", "/etc/a@2! ");
  start(&w->f);
  put_entry(&w->f, "/etc/a", "f", 0600);
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_PATH, "/etc/a", "/etc/a@5 ");
}

static void test_digests(void **state)
{
  struct world *w = *state;
  struct st_id one = id_of("one"), two = id_of("two"), secret = id_of("secret"), near = one;
  ST_AUTO_FREE char *full = hex_of(&one, 64), *start_of = hex_of(&one, 8), *odd = hex_of(&one, 17);
  ST_AUTO_FREE char *hidden = hex_of(&secret, 64), *last = hex_of(&two, 64);
  near.digest[31] ^= 1;
  ST_AUTO_FREE char *almost = hex_of(&near, 64);
  secret.keyed = 1;
  start(&w->f);
  put_file(w, "/etc/a", &one);
  put_file(w, "/etc/b", &one);
  put_file(w, "/etc/shadow", &secret);
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_DIGEST, full, "/etc/a@1 /etc/b@1 ");
  finds(w, OF_DIGEST, start_of, "/etc/a@1 /etc/b@1 ");
  finds(w, OF_DIGEST, odd, "/etc/a@1 /etc/b@1 ");
  finds(w, OF_DIGEST, almost, "");
  finds(w, OF_DIGEST, hidden, "");
  start(&w->f);
  put_file(w, "/etc/a", &two);
  put_file(w, "/etc/b", &secret);
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_DIGEST, full, ""); /* both have another content now */
  finds(w, OF_DIGEST, last, "/etc/a@2 ");
  refuses(w, OF_DIGEST, "1234567");
  refuses(w, OF_DIGEST, "1234567g");
  refuses(w, OF_DIGEST, "");
}

static void test_packages(void **state)
{
  struct world *w = *state;
  start(&w->f);
  put_package(&w->f, "openssl", "1:3.0.2-0", NULL);
  put_package(&w->f, "openssl-libs", "3.0.9", NULL);
  put_package(&w->f, "dash", "0.5", NULL);
  commit(&w->f);
  start(&w->f);
  put_package(&w->f, "openssl", "1:3.0.10-1", NULL);
  gone_package(w, "dash");
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_PACKAGE, "openssl", "openssl=1:3.0.10-1@2 openssl=1:3.0.2-0@1! ");
  finds(w, OF_PACKAGE, "openssl < 1:3.0.9", "openssl=1:3.0.2-0@1! ");
  finds(w, OF_PACKAGE, "openssl>1:3.0.9", "openssl=1:3.0.10-1@2 ");
  finds(w, OF_PACKAGE, "openssl >= 1:3.0.2", "openssl=1:3.0.10-1@2 openssl=1:3.0.2-0@1! ");
  finds(w, OF_PACKAGE, "openssl > 9", "openssl=1:3.0.10-1@2 openssl=1:3.0.2-0@1! ");
  finds(w, OF_PACKAGE, "openssl = 1:3.0.2", "openssl=1:3.0.2-0@1! ");
  finds(w, OF_PACKAGE, "openssl*",
        "openssl=1:3.0.10-1@2 openssl-libs=3.0.9@2 openssl=1:3.0.2-0@1! ");
  finds(w, OF_PACKAGE, "dash", "dash=0.5@1! ");
  finds(w, OF_PACKAGE, "das", "");
  refuses(w, OF_PACKAGE, "openssl <");
  refuses(w, OF_PACKAGE, "openssl < 1 2");
  refuses(w, OF_PACKAGE, "< 1");
  refuses(w, OF_PACKAGE, "openssl 1");
}

/* ---- Hosts -------------------------------------------------------------------------------------
 */

struct seen {
  size_t count;
  bool silent;
  int64_t packages, deviations, files;
  char nights[256];
};

static int see(void *arg, const struct st_fleet_host *host, UNUSED struct st_error *err)
{
  struct seen *s = arg;
  s->count++;
  s->silent = host->silent;
  s->packages = host->packages;
  s->deviations = host->deviations;
  s->files = host->files;
  snprintf(s->nights, sizeof(s->nights), "%s", host->nights);
  return 0;
}

static struct seen list(struct world *w, const struct st_fleet_query *q)
{
  struct seen s = {0};
  size_t total;
  ok(&w->f, st_fleet_hosts(w->fleet, q, see, &s, &total, &w->f.err));
  assert_int_equal(total, s.count);
  return s;
}

static void age_chain(struct world *w, int64_t seconds)
{
  ST_AUTO_FREE char *chain = st_format("hosts/%s/chain", HOST(w));
  const struct timespec times[] = {{time(NULL) - seconds, 0}, {time(NULL) - seconds, 0}};
  ok(&w->f, utimensat(w->f.fd, chain, times, 0));
}

static void test_hosts(void **state)
{
  struct world *w = *state;
  struct st_id one = id_of("one");
  ST_AUTO_FREE char *part = st_memdup(HOST(w) + 4, 6);
  start(&w->f);
  put_entry(&w->f, "/etc/a", "f", 0644);
  put_file(w, "/etc/a", &one);
  put_entry(&w->f, "/etc/b", "f", 0644);
  put_package(&w->f, "bash", "5", NULL);
  commit(&w->f);
  start(&w->f);
  put_entry(&w->f, "/etc/a", "f", 0600);
  gone_entry(&w->f, "/etc/b");
  commit(&w->f);
  learn(w);
  flush(w);
  struct seen s = list(w, &(struct st_fleet_query){0});
  assert_int_equal(s.count, 1);
  assert_int_equal(s.packages, 1);
  assert_int_equal(s.deviations, 2);
  assert_int_equal(s.files, 1);
  assert_false(s.silent);
  assert_string_equal(s.nights + strlen(s.nights) - 4, ",0,2");
  assert_int_equal(list(w, &(struct st_fleet_query){.match = part}).count, 1);
  assert_int_equal(list(w, &(struct st_fleet_query){.match = "nothing"}).count, 0);
  assert_int_equal(list(w, &(struct st_fleet_query){.visible = nobody}).count, 0);
  assert_int_equal(list(w, &(struct st_fleet_query){.silent_only = true}).count, 0);
  struct seen after = {0};
  assert_int_equal(st_fleet_host(w->fleet, "nobody", see, &after, &w->f.err), 1);
}

static void test_silent_hosts(void **state)
{
  struct world *w = *state;
  const struct st_fleet_query q = {.silent_only = true}, all = {.sort = "silent"};
  start(&w->f);
  put_entry(&w->f, "/etc/a", "f", 0644);
  commit(&w->f);
  age_chain(w, 40 * 3600);
  learn(w);
  flush(w);
  assert_true(list(w, &all).silent);
  st_fleet_set_silence(w->fleet, 48 * 3600);
  assert_int_equal(list(w, &q).count, 0);
  st_fleet_set_silence(w->fleet, 0);
  assert_int_equal(list(w, &q).count, 1);
  st_fleet_continued(w->fleet, HOST(w));
  assert_int_equal(list(w, &q).count, 0);
}

/* ---- Set back, damaged -------------------------------------------------------------------------
 */

static void test_older_epoch_keeps_its_names(void **state)
{
  struct world *w = *state;
  struct st_id one = id_of("one"), two = id_of("two");
  ST_AUTO_FREE char *epoch = st_format("%s/epoch-1", HOST(w));
  for (int round = 0; round < 2; round++) { /* the second time it is read from the file */
    if (round == 0) {
      start(&w->f);
      put_file(w, "/etc/a", &one);
      commit(&w->f);
      learn(w);
      st_catalog_close(st_steal(&w->f.c));
      ok(&w->f, st_retire(w->f.fd, HOST(w), 1, &w->f.err));
      ok(&w->f, st_catalog_open(&w->f.c, w->f.fd, HOST(w), ST_CATALOG_WRITE, &w->f.err));
      declare(&w->f);
      start(&w->f);
      put_file(w, "/etc/b", &two);
      commit(&w->f);
      learn(w);
      flush(w);
    } else {
      close_fleet(w);
      open_fleet(w);
    }
    assert_true(names(w, &one) && names(w, &two));
    assert_true(st_fleet_names(w->fleet, epoch, &one));
    assert_false(st_fleet_names(w->fleet, epoch, &two));
    finds(w, OF_PATH, "*", "/etc/b@1 ");
    assert_int_equal(list(w, &(struct st_fleet_query){0}).count, 1);
  }
}

static void damage(struct world *w, const char *text, size_t at)
{
  ST_AUTO_CLOSE int fd = openat(w->f.fd, "fleet.db", O_RDWR);
  assert_true(fd >= 0);
  assert_int_equal(pwrite(fd, text, strlen(text), (off_t)at), strlen(text));
}

static void test_made_anew(void **state)
{
  struct world *w = *state;
  struct st_id one = id_of("one");
  start(&w->f);
  put_file(w, "/etc/a", &one);
  put_package(&w->f, "bash", "5", NULL);
  commit(&w->f);
  learn(w);
  for (int round = 0; round < 3; round++) {
    close_fleet(w);
    if (round == 0)
      unlinkat(w->f.fd, "fleet.db", 0);
    else if (round == 1)
      damage(w, "no database", 0);
    else
      damage(w, "\1\2\3", 68); /* the application's id */
    open_fleet(w);
    assert_true(names(w, &one));
    finds(w, OF_PATH, "*", "/etc/a@1 ");
    finds(w, OF_PACKAGE, "bash", "bash=5@1 ");
  }
  struct stat st;
  ok(&w->f, fstatat(w->f.fd, "fleet.db", &st, 0));
  assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_beside_makes_nothing(void **state)
{
  struct world *w = *state;
  struct st_fleet *beside;
  close_fleet(w);
  unlinkat(w->f.fd, "fleet.db", 0);
  ok(&w->f, st_fleet_open_beside(&beside, w->a, &w->f.err));
  assert_null(beside);
  open_fleet(w);
  close_fleet(w);
  damage(w, "no database", 0);
  assert_int_equal(st_fleet_open_beside(&beside, w->a, &w->f.err), -1);
  st_error_clear(&w->f.err);
}

/* As SQLite itself does where the disk is full. */
static void test_rolled_back(void **state)
{
  struct world *w = *state;
  struct st_id one = id_of("1"), two = id_of("2");
  start(&w->f);
  put_file(w, "/etc/a", &one);
  commit(&w->f);
  learn(w);
  flush(w);
  start(&w->f);
  put_file(w, "/etc/b", &two);
  commit(&w->f);
  learn(w);
  assert_int_equal(sqlite3_exec(w->fleet->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(st_fleet_flush(w->fleet, &w->f.err), -1);
  st_error_clear(&w->f.err);
  start(&w->f);
  put_file(w, "/etc/c", &one);
  commit(&w->f);
  learn(w);
  flush(w);
  for (int i = 0; i < 2; i++) {
    finds(w, OF_PATH, "/etc/?", "/etc/a@3 /etc/b@3 /etc/c@3 ");
    assert_true(names(w, &one) && names(w, &two));
    close_fleet(w);
    open_fleet(w);
  }
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up_world, tear_down_world)

/* A path that was gone before the host's rules called it a secret. */
static void test_secret_since(void **state)
{
  struct world *w = *state;
  static const struct st_column columns[] = {{"plugin", ST_TEXT, ST_KEY},
                                             {"kind", ST_TEXT, ST_KEY},
                                             {"pattern", ST_BYTES, ST_KEY},
                                             {"reason", ST_TEXT, 0}};
  static const struct st_table rules[] = {
      {.name = "rule", .ncolumns = ST_COUNT(columns), .columns = columns}, {0}};
  struct st_id one = id_of("one");
  ST_AUTO_FREE char *digits = hex_of(&one, 16);
  ok(&w->f, st_catalog_declare(w->f.c, "core", rules, &w->f.err));
  start(&w->f);
  put_file(w, "/etc/password", &one);
  put_file(w, "/etc/plain", &one);
  commit(&w->f);
  start(&w->f);
  gone_file(w, "/etc/password");
  gone_file(w, "/etc/plain");
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_DIGEST, digits, "/etc/password@1! /etc/plain@1! ");
  start(&w->f);
  struct st_value rule[] = {st_text_value("config_track"),
                            st_text_value("secret"),
                            {.type = ST_BYTES, .u.bytes = {"/etc/pass*", 10}},
                            {0}};
  ok(&w->f, st_catalog_put(w->f.c, table(&w->f, "core_rule"), rule, &w->f.err));
  commit(&w->f);
  learn(w);
  flush(w);
  finds(w, OF_DIGEST, digits, "/etc/plain@1! ");
  finds(w, OF_PATH, "/etc/password", "/etc/password@1! ");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_heads),
      WORLD_TEST(test_names),
      WORLD_TEST(test_prune_seen_by_learning),
      WORLD_TEST(test_prune_by_another_program),
      WORLD_TEST(test_prune_while_nobody_looks),
      WORLD_TEST(test_known_head_is_pruned),
      WORLD_TEST(test_expiry),
      WORLD_TEST(test_paths),
      WORLD_TEST(test_path_in_two_tables),
      WORLD_TEST(test_digests),
      WORLD_TEST(test_packages),
      WORLD_TEST(test_secret_since),
      WORLD_TEST(test_hosts),
      WORLD_TEST(test_silent_hosts),
      WORLD_TEST(test_older_epoch_keeps_its_names),
      WORLD_TEST(test_made_anew),
      WORLD_TEST(test_beside_makes_nothing),
      WORLD_TEST(test_rolled_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
