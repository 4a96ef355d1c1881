/* SPDX-License-Identifier: GPL-2.0-or-later */
/* test-commit.c - what hosts send is proved, is theirs alone, and is durable when they are told. */
#include "systracker/catalog/test-support.h"

#include <pthread.h>

#include "archive-sync/serve/arrival.h"
#include "archive-sync/serve/hosts.h"
#include "archive-sync/serve/objects.h"
#include "archive-sync/serve/sent.h"
#include "systracker/base/lock.h"

/* The server's counters are not looked at here. */
void st_metrics_add(UNUSED struct st_metrics *m, UNUSED enum st_metric which, UNUSED int64_t n)
{
}

/* A host with its store. */
struct host {
  struct fixture f;
  struct st_store *store;
};
/* Two of them, and a server without a network. */
struct world {
  struct host one, two;
  char dir[128];
  struct st_archive *a;
  struct st_server server;
  struct st_error err;
};

#define OK(call) ok(w, call)

static void open_host(struct host *h)
{
  fixture_open(&h->f);
  ok(&h->f, st_store_open(&h->store, h->f.fd, ST_STORE_WRITE, &h->f.keys, &h->f.err));
}

static void close_host(struct host *h)
{
  st_store_close(h->store);
  fixture_close(&h->f);
}

static void start_server(struct world *w)
{
  OK(st_archive_open(&w->a, w->dir, false, &w->err));
  w->server = (struct st_server){.dir = w->dir, .archive = w->a};
  OK(st_fleet_open(&w->server.fleet, w->a, &w->err));
  OK(st_committer_open(&w->server.committer, &w->server, &w->err));
}

static void stop_server(struct world *w)
{
  st_committer_close(w->server.committer);
  st_fleet_close(w->server.fleet);
  st_archive_close(w->a);
}

static int set_up_world(void **state)
{
  struct world *w = st_calloc(1, sizeof(*w));
  const char *tmp = getenv("TMPDIR");
  *state = w;
  open_host(&w->one);
  open_host(&w->two);
  snprintf(w->dir, sizeof(w->dir), "%s/test-commit.XXXXXX", tmp ? tmp : "/tmp");
  assert_non_null(mkdtemp(w->dir));
  OK(st_archive_init(w->dir, NULL, &w->err));
  start_server(w);
  return 0;
}

static int tear_down_world(void **state)
{
  struct world *w = *state;
  stop_server(w);
  int fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  remove_below(fd);
  rmdir(w->dir);
  close_host(&w->one);
  close_host(&w->two);
  st_error_clear(&w->err);
  free(w);
  return 0;
}

/* ---- What hosts have and send ------------------------------------------------------------------
 */

static struct st_id put(struct host *h, const void *data, size_t length, bool secret,
                        const struct st_id *previous)
{
  struct st_id id;
  ok(&h->f, st_store_put(h->store, data, length, secret, previous, &id, &h->f.err));
  ok(&h->f, st_store_sync(h->store, &h->f.err));
  return id;
}

static struct st_id put_text(struct host *h, const char *text)
{
  return put(h, text, strlen(text), false, NULL);
}

/* What cannot be compressed, so that a revision of it is a delta. */
static void noise(uint8_t *out, size_t length, uint64_t seed)
{
  for (size_t i = 0; i < length; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    out[i] = (uint8_t)(seed >> 56);
  }
}

static void night(struct host *h, const char *path, const struct st_id *id)
{
  struct st_value row[] = {st_path_value(path), st_id_value(id)};
  start(&h->f);
  ok(&h->f, st_catalog_put(h->f.c, table(&h->f, "fake_file"), row, &h->f.err));
  commit(&h->f);
}

static void add_parcel(struct host *h, struct st_buffer *pack, const struct st_id *id)
{
  ST_AUTO_PARCEL parcel = {0};
  ok(&h->f, st_store_export_alone(h->store, id, &parcel, &h->f.err));
  ok(&h->f, st_wire_add_parcel(pack, &parcel, &h->f.err));
}

static int arrive_as(struct world *w, const char *host, const struct st_buffer *pack,
                     uint64_t *ret_kept, size_t *ret_refused, size_t *ret_missing)
{
  ST_AUTO_ERROR words = ST_ERROR_INIT;
  ST_AUTO_ARRIVAL a = {
      .server = &w->server, .host = host, .data = pack->data, .length = pack->length};
  int r = st_arrive(&a, &words, &w->err);
  OK(r);
  assert_true(r == ST_COMMIT_DONE || words.message);
  *ret_kept = a.kept;
  *ret_refused = a.refused.length / ST_WIRE_ID_SIZE;
  *ret_missing = a.missing.length / ST_WIRE_ID_SIZE;
  return r;
}

static void keeps(struct world *w, struct host *h, const struct st_buffer *pack, uint64_t expected)
{
  uint64_t kept;
  size_t refused, missing;
  assert_int_equal(arrive_as(w, h->f.keys.host_id, pack, &kept, &refused, &missing),
                   ST_COMMIT_DONE);
  assert_int_equal(kept, expected);
  assert_int_equal(refused, 0);
}

static void send_object(struct world *w, struct host *h, const struct st_id *id)
{
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  add_parcel(h, &pack, id);
  keeps(w, h, &pack, 1);
}

/* What it comes to, and how many ids are missing. */
static int send_as(struct world *w, const char *host, struct fixture *from, int64_t number,
                   size_t *ret_missing)
{
  ST_AUTO_ERROR words = ST_ERROR_INIT;
  ST_AUTO_CHANGESET set = {0};
  struct st_commit_checkpoint work = {.host = host, .set = &set};
  ok(from, st_changeset_read(from->c, number, &set, &from->err));
  int r = st_commit_checkpoint(w->server.committer, &work, &words, &w->err);
  OK(r);
  if (r == ST_COMMIT_DONE)
    assert_int_equal(work.number, number);
  *ret_missing = work.missing.length / ST_WIRE_ID_SIZE;
  st_buffer_free(&work.missing);
  return r;
}

static void takes(struct world *w, struct host *h, int64_t number)
{
  size_t missing;
  struct st_fleet_head head;
  assert_int_equal(send_as(w, h->f.keys.host_id, &h->f, number, &missing), ST_COMMIT_DONE);
  assert_true(st_fleet_head(w->server.fleet, h->f.keys.host_id, &head));
  assert_true(head.number >= number);
}

static bool is_own(struct world *w, struct host *h, const struct st_id *id)
{
  ST_CLEANUP(st_own_closep) struct st_own *own = NULL;
  OK(st_own_open(&own, w->a, w->server.fleet, h->f.keys.host_id, &w->err));
  return st_own_has(own, id);
}

static size_t list_length(struct world *w, struct host *h, const char *list)
{
  ST_AUTO_BUFFER items = ST_BUFFER_INIT;
  OK(st_sent_read(w->a->dir, h->f.keys.host_id, list, &items, &w->err));
  return items.length / st_sent_item_size(list);
}

static void holds(struct world *w, const struct st_id *id, const void *data, size_t length)
{
  ST_AUTO_READER reader = {0};
  ST_AUTO_BUFFER out = ST_BUFFER_INIT;
  OK(st_reader_borrow(st_committer_objects(w->server.committer), &reader, &w->err));
  OK(st_store_get(reader.store, id, &out, &w->err));
  assert_int_equal(out.length, length);
  assert_memory_equal(out.data, data, length);
}

/* ---- One host ----------------------------------------------------------------------------------
 */

static void test_night(void **state)
{
  struct world *w = *state;
  struct host *h = &w->one;
  struct st_id id = put_text(h, "hello\n");

  night(h, "/etc/hello", &id);
  send_object(w, h, &id);
  assert_int_equal(list_length(w, h, ST_SENT), 1);
  takes(w, h, 1);
  assert_int_equal(list_length(w, h, ST_SENT), 0); /* it is named now */
  assert_true(is_own(w, h, &id));
  holds(w, &id, "hello\n", 6);
  takes(w, h, 1); /* the same again */
}

static void test_what_was_not_sent(void **state)
{
  struct world *w = *state;
  struct host *h = &w->one;
  struct st_id id = put_text(h, "never sent");
  size_t missing;

  night(h, "/etc/x", &id);
  assert_int_equal(send_as(w, h->f.keys.host_id, &h->f, 1, &missing), ST_COMMIT_MISSING);
  assert_int_equal(missing, 1);
  send_object(w, h, &id);
  takes(w, h, 1);
}

#define LENGTH 20000
#define STEPS 9

static void test_deltas(void **state)
{
  struct world *w = *state;
  struct host *h = &w->one;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  uint8_t data[LENGTH];
  struct st_id ids[STEPS];

  noise(data, sizeof(data), 1);
  for (int i = 0; i < STEPS; i++) {
    data[i * 100] ^= 1;
    ids[i] = put(h, data, sizeof(data), false, i ? &ids[i - 1] : NULL);
    add_parcel(h, &pack, &ids[i]);
  }
  keeps(w, h, &pack, STEPS);
  holds(w, &ids[STEPS - 1], data, sizeof(data));
  assert_true(pack.length < 3 * LENGTH);
  keeps(w, h, &pack, STEPS); /* again */
}

struct others {
  struct host *h;
  struct st_buffer *pack;
  const struct st_id *but;
};

static int add_other(void *arg, const struct st_id *id, UNUSED struct st_error *err)
{
  struct others *o = arg;
  if (!st_id_equal(id, o->but))
    add_parcel(o->h, o->pack, id);
  return 0;
}

static void test_large_files(void **state)
{
  struct world *w = *state;
  struct host *h = &w->one;
  size_t length = (size_t)9 << 20, refused, missing;
  uint64_t kept;
  ST_AUTO_FREE uint8_t *data = st_malloc(length);
  ST_AUTO_BUFFER list = ST_BUFFER_INIT, all = ST_BUFFER_INIT;

  noise(data, length, 7);
  struct st_id id = put(h, data, length, false, NULL);
  add_parcel(h, &list, &id);
  assert_int_equal(arrive_as(w, h->f.keys.host_id, &list, &kept, &refused, &missing),
                   ST_COMMIT_MISSING);
  assert_true(missing > 1);
  struct others o = {h, &all, &id};
  ok(&h->f, st_store_each(h->store, add_other, &o, &h->f.err));
  add_parcel(h, &all, &id);
  keeps(w, h, &all, missing + 1);
  night(h, "/var/large", &id);
  takes(w, h, 1);
  assert_int_equal(list_length(w, h, ST_SENT), 0);
  assert_int_equal(list_length(w, h, ST_SENT_CHUNKS), missing); /* are its own still */
  holds(w, &id, data, length);
}

/* ---- Two hosts ---------------------------------------------------------------------------------
 */

/* An object of another host's is nobody's who cannot show it. */
static void test_others_objects(void **state)
{
  struct world *w = *state;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_PARCEL forged = {0};
  struct st_id id = put_text(&w->one, "a secret plan\n");
  uint64_t kept;
  size_t refused, missing;

  send_object(w, &w->one, &id);
  night(&w->two, "/etc/stolen", &id);
  assert_int_equal(send_as(w, w->two.f.keys.host_id, &w->two.f, 1, &missing), ST_COMMIT_MISSING);
  assert_false(is_own(w, &w->two, &id));
  /* Its id alone is no proof. */
  forged.record = (struct st_record){.id = id, .raw = 14, .stored = 14};
  st_buffer_append(&forged.payload, "a secret guess", 14);
  OK(st_wire_add_parcel(&pack, &forged, &w->err));
  assert_int_equal(arrive_as(w, w->two.f.keys.host_id, &pack, &kept, &refused, &missing),
                   ST_COMMIT_REFUSED);
  assert_false(is_own(w, &w->two, &id));
  /* Who has it may say so. */
  put_text(&w->two, "a secret plan\n");
  send_object(w, &w->two, &id);
  assert_true(is_own(w, &w->two, &id));
  takes(w, &w->two, 1);
}

/* Whether another host has the base does not show. */
static void test_others_bases(void **state)
{
  struct world *w = *state;
  uint8_t data[LENGTH];
  uint64_t kept;
  size_t refused[2], missing;

  for (int sent = 0; sent < 2; sent++) {
    ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
    noise(data, sizeof(data), 40 + (uint64_t)sent);
    struct st_id base = put(&w->one, data, sizeof(data), false, NULL);
    put(&w->two, data, sizeof(data), false, NULL);
    data[5] ^= 1;
    struct st_id delta = put(&w->two, data, sizeof(data), false, &base);
    if (sent)
      send_object(w, &w->one, &base);
    add_parcel(&w->two, &pack, &delta);
    assert_int_equal(arrive_as(w, w->two.f.keys.host_id, &pack, &kept, &refused[sent], &missing),
                     ST_COMMIT_DONE);
    assert_int_equal(kept, 0);
  }
  assert_int_equal(refused[0], 1);
  assert_int_equal(refused[1], 1);
}

/* The base is there from another host as a delta of a later step: the content is kept all the same,
 * and the client is not told. */
static void test_steps_that_do_not_fit(void **state)
{
  struct world *w = *state;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  uint8_t data[LENGTH], first[LENGTH];
  struct st_id ids[STEPS];

  noise(first, sizeof(first), 77);
  memcpy(data, first, sizeof(data));
  for (int i = 0; i < STEPS; i++) {
    data[i * 100] ^= 1;
    ids[i] = put(&w->one, data, sizeof(data), false, i ? &ids[i - 1] : NULL);
    add_parcel(&w->one, &pack, &ids[i]);
  }
  keeps(w, &w->one, &pack, STEPS);
  st_buffer_clear(&pack);
  put(&w->two, data, sizeof(data), false, NULL); /* step 8 there, step 0 here */
  data[7] ^= 0x10;
  struct st_id next = put(&w->two, data, sizeof(data), false, &ids[STEPS - 1]);
  add_parcel(&w->two, &pack, &ids[STEPS - 1]);
  add_parcel(&w->two, &pack, &next);
  keeps(w, &w->two, &pack, 2);
  holds(w, &next, data, sizeof(data));
}

/* A secret's content cannot be proved here, so its id is not taken over either. */
static void test_others_secrets(void **state)
{
  struct world *w = *state;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT, same = ST_BUFFER_INIT;
  ST_AUTO_PARCEL theirs = {0}, forged = {0};
  struct st_id id = put(&w->one, "password", 8, true, NULL);
  uint64_t kept;
  size_t refused, missing;

  assert_int_equal(id.keyed, 1);
  send_object(w, &w->one, &id);
  struct st_id own = put(&w->two, "other words", 11, true, NULL);
  ok(&w->two.f, st_store_export(w->two.store, &own, &forged, &w->two.f.err));
  forged.record.id = id;
  OK(st_wire_add_parcel(&pack, &forged, &w->err));
  assert_int_equal(arrive_as(w, w->two.f.keys.host_id, &pack, &kept, &refused, &missing),
                   ST_COMMIT_DONE);
  assert_int_equal(kept, 0);
  assert_int_equal(refused, 1);
  assert_false(is_own(w, &w->two, &id));
  ok(&w->one.f, st_store_export(w->one.store, &id, &theirs, &w->one.f.err));
  OK(st_wire_add_parcel(&same, &theirs, &w->err));
  keeps(w, &w->two, &same, 1); /* a copy of the host, with its key */
}

/* ---- Chains ------------------------------------------------------------------------------------
 */

static void test_chains(void **state)
{
  struct world *w = *state;
  struct host *h = &w->one;
  struct st_id id = put_text(h, "content");
  size_t missing;

  send_object(w, h, &id);
  night(h, "/a", &id);
  night(h, "/b", &id);
  assert_int_equal(send_as(w, w->two.f.keys.host_id, &h->f, 1, &missing), ST_COMMIT_REFUSED);
  assert_int_equal(send_as(w, h->f.keys.host_id, &h->f, 2, &missing), ST_COMMIT_REFUSED);
  takes(w, h, 1);
  takes(w, h, 2);
  takes(w, h, 1); /* replayed: it is there, and nothing changes */
  /* Set back, and made anew. */
  st_catalog_close(st_steal(&h->f.c));
  remove_below(open(h->f.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  reopen(&h->f, ST_CATALOG_WRITE);
  declare(&h->f);
  night(h, "/c", &id);
  assert_int_equal(send_as(w, h->f.keys.host_id, &h->f, 1, &missing), ST_COMMIT_BEHIND);
}

static void test_epochs(void **state)
{
  struct world *w = *state;
  struct host *h = &w->one;
  struct st_id id = put_text(h, "content");
  ST_AUTO_ERROR words = ST_ERROR_INIT;
  ST_AUTO_STRINGS epochs = {0};
  struct st_fleet_head head;

  send_object(w, h, &id);
  night(h, "/a", &id);
  takes(w, h, 1);
  assert_int_equal(st_commit_epoch(w->server.committer, h->f.keys.host_id, 3, &words, &w->err),
                   ST_COMMIT_BEHIND);
  st_error_clear(&words);
  for (int again = 0; again < 2; again++)
    assert_int_equal(st_commit_epoch(w->server.committer, h->f.keys.host_id, 2, &words, &w->err),
                     ST_COMMIT_DONE);
  OK(st_archive_epochs(w->a, h->f.keys.host_id, &epochs, &w->err));
  assert_int_equal(epochs.count, 1);
  st_fleet_head(w->server.fleet, h->f.keys.host_id, &head);
  assert_int_equal(head.number, 0);
  takes(w, h, 1);
  assert_true(is_own(w, h, &id));
}

/* The last epoch that there can be, by a host's own word: none follows, and nothing overflows. */
static void test_last_epoch(void **state)
{
  struct world *w = *state;
  struct host *h = &w->one;
  struct st_id id = put_text(h, "content");
  struct st_checkpoint cp;
  ST_AUTO_ERROR words = ST_ERROR_INIT;

  send_object(w, h, &id);
  night(h, "/a", &id);
  OK(st_catalog_open_epoch(h->f.c, &h->f.keys, INT64_MAX, NULL, &cp, &w->err));
  assert_int_equal(cp.number, 2);
  st_checkpoint_clear(&cp);
  takes(w, h, 1);
  takes(w, h, 2);
  for (int64_t epoch = 2; epoch > 0; epoch = epoch == 2 ? INT64_MAX : 0)
    assert_int_equal(
        st_commit_epoch(w->server.committer, h->f.keys.host_id, epoch, &words, &w->err),
        ST_COMMIT_BEHIND);
}

/* ---- Others at the archive ---------------------------------------------------------------------
 */

static void test_lock(void **state)
{
  struct world *w = *state;
  struct host *h = &w->one;
  struct st_id id = put_text(h, "one"), pushed = put_text(h, "two"), last = put_text(h, "three");
  struct st_store *store;
  int lock = -1;

  send_object(w, h, &id);
  for (int i = 0; i < 3000 && lock < 0; i++) { /* it lets go of it soon */
    st_error_clear(&w->err);
    lock = st_lock(w->a->dir, "lock", &w->err);
    usleep(20000);
  }
  OK(lock);
  OK(st_store_open(&store, w->a->dir, ST_STORE_WRITE, NULL, &w->err));
  OK(st_store_copy(store, h->store, &pushed, &w->err));
  OK(st_store_sync(store, &w->err));
  st_store_close(store);
  close(lock);
  send_object(w, h, &last);
  holds(w, &id, "one", 3);
  holds(w, &pushed, "two", 3);
  holds(w, &last, "three", 5);
  stop_server(w);
  start_server(w);
  holds(w, &last, "three", 5);
}

struct sender {
  struct world *w;
  struct st_buffer pack;
  struct st_keys keys;
  uint64_t kept;
};

static void *send_many(void *arg)
{
  struct sender *s = arg;
  ST_AUTO_ERROR words = ST_ERROR_INIT, err = ST_ERROR_INIT;
  for (int i = 0; i < 20; i++) {
    ST_AUTO_ARRIVAL a = {.server = &s->w->server,
                         .host = s->keys.host_id,
                         .data = s->pack.data,
                         .length = s->pack.length};
    if (st_arrive(&a, &words, &err) == ST_COMMIT_DONE)
      s->kept += a.kept;
  }
  return NULL;
}

static void test_many_at_once(void **state)
{
  enum { SENDERS = 8 };
  struct world *w = *state;
  struct sender senders[SENDERS] = {0};
  pthread_t threads[SENDERS];
  struct st_id id = put_text(&w->one, "what all have");

  for (int i = 0; i < SENDERS; i++) {
    ST_AUTO_FREE char *text = st_format("what %d has", i);
    struct st_id own = put_text(&w->one, text);
    senders[i].w = w;
    OK(st_keys_make(&senders[i].keys, &w->err));
    add_parcel(&w->one, &senders[i].pack, &id);
    add_parcel(&w->one, &senders[i].pack, &own);
    assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
  }
  for (int i = 0; i < SENDERS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(senders[i].kept, 40);
    st_buffer_free(&senders[i].pack);
  }
  holds(w, &id, "what all have", 13);
}

/* ---- Limits and lists --------------------------------------------------------------------------
 */

static void test_limits(void **state)
{
  struct world *w = *state;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_PARCEL bomb = {0};
  uint64_t kept;
  size_t refused, missing;

  bomb.record =
      (struct st_record){.raw = ST_WIRE_RAW_MAX, .stored = 8, .encoding = ST_ENCODING_ZSTD};
  st_buffer_append(&bomb.payload, "nothing.", 8);
  for (uint64_t i = 0; i <= ST_WIRE_WORK_MAX / ST_WIRE_RAW_MAX; i++)
    OK(st_wire_add_parcel(&pack, &bomb, &w->err));
  assert_int_equal(arrive_as(w, w->one.f.keys.host_id, &pack, &kept, &refused, &missing),
                   ST_COMMIT_REFUSED);
  bomb.record.raw++;
  st_buffer_clear(&pack);
  OK(st_wire_add_parcel(&pack, &bomb, &w->err));
  assert_int_equal(arrive_as(w, w->one.f.keys.host_id, &pack, &kept, &refused, &missing),
                   ST_COMMIT_REFUSED);
}

/* Deltas on deltas on what is not there, of which eight may each be the base of eight others: each
 * is looked at once.  Along every way that leads to the last, that would not end. */
static void test_ways_to_a_base(void **state)
{
  struct world *w = *state;
  ST_AUTO_BUFFER pack = ST_BUFFER_INIT;
  ST_AUTO_PARCEL delta = {0};
  uint64_t kept;
  size_t refused, missing;

  delta.record = (struct st_record){
      .raw = 64, .stored = 8, .encoding = ST_ENCODING_DELTA, .has_base = true, .step = 1};
  st_buffer_append(&delta.payload, "nothing.", 8);
  for (int depth = 0; depth < 16; depth++)
    for (int i = 0; i < 8; i++) {
      delta.record.base[0] = (uint8_t)depth;
      delta.record.id.digest[0] = (uint8_t)(depth + 1);
      delta.record.id.digest[ST_DIGEST_SIZE - 1] = (uint8_t)i;
      OK(st_wire_add_parcel(&pack, &delta, &w->err));
    }
  alarm(300);
  assert_int_equal(arrive_as(w, w->one.f.keys.host_id, &pack, &kept, &refused, &missing),
                   ST_COMMIT_DONE);
  alarm(0);
  assert_int_equal(kept, 0);
  assert_int_equal(refused, 16 * 8);
}

static int count_descriptors(void)
{
  int n = 0;
  ST_AUTO_CLOSEDIR DIR *d = opendir("/proc/self/fd");
  assert_non_null(d);
  while (readdir(d))
    n++;
  return n;
}

/* What gc replaced is let go of by all readers with the next one that is asked for, not by that
 * one alone. */
static void test_old_readers(void **state)
{
  struct world *w = *state;
  struct st_objects *objects = st_committer_objects(w->server.committer);
  struct st_id id = put_text(&w->one, "content");
  send_object(w, &w->one, &id);
  {
    ST_AUTO_READER only = {0};
    OK(st_reader_borrow(objects, &only, &w->err));
  }
  int before = count_descriptors();
  {
    struct st_reader many[4] = {0};
    for (int i = 0; i < 4; i++)
      OK(st_reader_borrow(objects, &many[i], &w->err));
    for (int i = 0; i < 4; i++)
      st_reader_return(&many[i]);
  }
  assert_true(count_descriptors() > before);
  ST_AUTO_BUFFER index = ST_BUFFER_INIT;
  OK(st_read_file(w->a->dir, "packs/objects.db", (size_t)1 << 30, &index, &w->err));
  OK(st_write_file(w->a->dir, "packs/objects.db", 0600, index.data, index.length, &w->err));
  {
    ST_AUTO_READER only = {0};
    OK(st_reader_borrow(objects, &only, &w->err));
  }
  assert_int_equal(count_descriptors(), before);
}

static void test_lists(void **state)
{
  struct world *w = *state;
  const char *host = w->one.f.keys.host_id;
  ST_AUTO_BUFFER items = ST_BUFFER_INIT;
  struct st_id ids[3] = {{.digest = {1}}, {.digest = {2}}, {.digest = {3}}};

  for (int i = 0; i < 3; i++)
    st_wire_add_id(&items, &ids[i]);
  OK(st_sent_add(w->a->dir, host, ST_SENT, items.data, 2 * ST_WIRE_ID_SIZE, &w->err));
  /* A kill left half an id. */
  OK(st_sent_add(w->a->dir, host, ST_SENT, items.data + 2 * ST_WIRE_ID_SIZE, 20, &w->err));
  assert_int_equal(list_length(w, &w->one, ST_SENT), 2);
  OK(st_sent_add(w->a->dir, host, ST_SENT, items.data + 2 * ST_WIRE_ID_SIZE, ST_WIRE_ID_SIZE,
                 &w->err));
  assert_int_equal(list_length(w, &w->one, ST_SENT), 3);
  assert_true(is_own(w, &w->one, &ids[2]));
  OK(st_sent_replace(w->a->dir, host, ST_SENT, items.data, ST_WIRE_ID_SIZE, &w->err));
  assert_int_equal(list_length(w, &w->one, ST_SENT), 1);
  OK(st_sent_replace(w->a->dir, host, ST_SENT, NULL, 0, &w->err));
  assert_int_equal(list_length(w, &w->one, ST_SENT), 0);
}

static void test_nonces(void **state)
{
  struct world *w = *state;
  struct st_hosts *hosts = st_committer_hosts(w->server.committer);
  char nonce[ST_NONCE_SIZE], other[ST_NONCE_SIZE];

  st_hosts_nonce(hosts, "one", "ab", "x_1_y.deb", 1000, nonce);
  assert_true(st_hosts_nonce_is(hosts, "one", "ab", nonce, 1000));
  assert_true(st_hosts_nonce_is(hosts, "one", "ab", nonce, 1000 + ST_NONCE_SECONDS));
  assert_false(st_hosts_nonce_is(hosts, "one", "ab", nonce, 1001 + ST_NONCE_SECONDS));
  assert_false(st_hosts_nonce_is(hosts, "one", "ab", nonce, 999));
  assert_false(st_hosts_nonce_is(hosts, "two", "ab", nonce, 1000));
  assert_false(st_hosts_nonce_is(hosts, "one", "ac", nonce, 1000));
  assert_true(st_hosts_nonce_names(nonce, "x_1_y.deb"));
  assert_false(st_hosts_nonce_names(nonce, "x_2_y.deb"));
  for (size_t i = 0; i < ST_NONCE_SIZE - 1; i++) {
    memcpy(other, nonce, sizeof(other));
    other[i] = other[i] == '0' ? '1' : '0';
    assert_false(st_hosts_nonce_is(hosts, "one", "ab", other, 1000));
  }
  assert_false(st_hosts_nonce_is(hosts, "one", "ab", "short", 1000));
}

static void test_one_at_a_time(void **state)
{
  struct world *w = *state;
  struct st_hosts *hosts = st_committer_hosts(w->server.committer);

  assert_true(st_hosts_begin(hosts, "one"));
  assert_false(st_hosts_begin(hosts, "one"));
  assert_true(st_hosts_begin(hosts, "two"));
  st_hosts_end(hosts, "one");
  assert_true(st_hosts_begin(hosts, "one"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_world, tear_down_world)

int main(void)
{
  const struct CMUnitTest tests[] = {
      TEST(test_night),
      TEST(test_what_was_not_sent),
      TEST(test_deltas),
      TEST(test_large_files),
      TEST(test_others_objects),
      TEST(test_others_bases),
      TEST(test_steps_that_do_not_fit),
      TEST(test_others_secrets),
      TEST(test_chains),
      TEST(test_epochs),
      TEST(test_last_epoch),
      TEST(test_lock),
      TEST(test_many_at_once),
      TEST(test_limits),
      TEST(test_ways_to_a_base),
      TEST(test_old_readers),
      TEST(test_lists),
      TEST(test_nonces),
      TEST(test_one_at_a_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
