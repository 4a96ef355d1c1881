/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * baseline.c - the digests of a first checkpoint, which has as many facts as there are: a thread of
 * its own puts the body in order and hashes it, while others make the state tree.  Meanwhile what
 * the rows have taken of the file goes to the disk.
 *
 * Of tables whose rows are not in memory (began.c) the body is read first, by the one thread that
 * may ask the catalog.  They are small as a rule; where they are not, the body is hashed meanwhile.
 */

#include "systracker/base/thread.h"
#include "systracker/catalog/internal.h"

#define MOST_HELD ((size_t)4 << 20) /* bytes of the body */

/* Bytes, and behind them the rows of a table. */
struct part {
  struct st_buffer bytes;
  struct st_table_full *t; /* NULL: none, it is the last part */
};

struct body {
  struct part *parts;
  size_t count, digested; /* parts */
  size_t held;            /* bytes, in all of them */
  struct st_digester *digester;
};

static void body_clear(struct body *b)
{
  for (size_t i = 0; i < b->count; i++)
    st_buffer_free(&b->parts[i].bytes);
  free(b->parts);
  st_digester_free(b->digester);
}

static void digest_piece(void *arg, const void *data, size_t length)
{
  st_digester_add(arg, data, length);
}

/* All that is there. */
static void digest_parts(struct body *b)
{
  for (; b->digested < b->count; b->digested++) {
    struct part *part = &b->parts[b->digested];
    st_digester_add(b->digester, part->bytes.data, part->bytes.length);
    st_buffer_free(&part->bytes);
    if (!part->t)
      break;
    st_began_write(part->t, digest_piece, b->digester);
  }
  b->held = 0;
}

static void add_part(struct body *b)
{
  b->parts = st_realloc(b->parts, b->count + 1, sizeof(*b->parts));
  b->parts[b->count++] = (struct part){0};
}

static void take_bytes(void *arg, const void *data, size_t length)
{
  struct body *b = arg;

  st_buffer_append(&b->parts[b->count - 1].bytes, data, length);
  b->held += length;
  if (b->held > MOST_HELD)
    digest_parts(b);
}

static void take_table(void *arg, struct st_table_full *t)
{
  struct body *b = arg;

  b->parts[b->count - 1].t = t;
  add_part(b);
}

static void *digest_beside(void *arg)
{
  digest_parts(arg);
  return NULL;
}

/* ---- What the file has so far goes to the disk meanwhile ------------------------------------- */

struct write_back {
  struct st_catalog *c;
  pthread_t thread;
  bool started;
  pthread_mutex_t mutex;
  pthread_cond_t written;
  bool flushed; /* under it */
  int result;
  struct st_error err;
};

static void note_flushed(struct write_back *w)
{
  pthread_mutex_lock(&w->mutex);
  w->flushed = true;
  pthread_cond_signal(&w->written);
  pthread_mutex_unlock(&w->mutex);
}

static void *write_beside(void *arg)
{
  struct write_back *w = arg;
  sqlite3_file *file;

  w->result = st_catalog_flush(w->c, &file, &w->err);
  note_flushed(w);
  if (w->result == 0)
    w->result = st_catalog_sync(w->c, file, &w->err);
  return NULL;
}

/* Nobody asks the catalog from here on until write_back_flushed. */
static void write_back_begin(struct write_back *w)
{
  pthread_mutex_init(&w->mutex, NULL);
  pthread_cond_init(&w->written, NULL);
  w->started = st_thread_start(&w->thread, write_beside, w);
}

static void write_back_flushed(void *arg)
{
  struct write_back *w = arg;

  pthread_mutex_lock(&w->mutex);
  while (w->started && !w->flushed)
    pthread_cond_wait(&w->written, &w->mutex);
  pthread_mutex_unlock(&w->mutex);
}

static int write_back_end(struct write_back *w, struct st_error *err)
{
  if (w->started)
    pthread_join(w->thread, NULL);
  pthread_cond_destroy(&w->written);
  pthread_mutex_destroy(&w->mutex);
  return w->result < 0 ? st_error_move(err, &w->err) : 0;
}

/* ---- Both digests ------------------------------------------------------------------------------
 */

static int make_tree(struct st_catalog *c, const struct body *b, struct st_state *state,
                     uint8_t root[ST_DIGEST_SIZE], struct st_error *err)
{
  st_began_finish(c);
  for (size_t i = 0; i < b->count; i++)
    if (b->parts[i].t)
      st_began_leaves(b->parts[i].t, state);
  return st_state_root(state, root, err);
}

static int make_state(struct st_catalog *c, const struct body *b, struct st_state *state,
                      uint8_t root[ST_DIGEST_SIZE], struct st_error *err)
{
  struct write_back w = {.c = c};

  if (st_state_load(state, err) < 0)
    return -1;
  write_back_begin(&w);
  st_state_set_before(state, write_back_flushed, &w);
  int r = make_tree(c, b, state, root, err);
  if (write_back_end(&w, r < 0 ? NULL : err) < 0)
    r = -1;
  st_error_clear(&w.err);
  return r;
}

int st_baseline_digest(struct st_catalog *c, uint8_t body[ST_DIGEST_SIZE],
                       uint8_t state_root[ST_DIGEST_SIZE], int64_t *ret_begun, struct st_error *err)
{
  ST_CLEANUP(st_state_freep) struct st_state *state = st_state_new(c);
  ST_CLEANUP(body_clear) struct body b = {.digester = st_digester_new(NULL)};
  pthread_t beside;

  add_part(&b);
  if (st_body_write_first(c, take_bytes, take_table, &b, state, ret_begun, err) < 0)
    return -1;
  bool made = st_thread_start(&beside, digest_beside, &b);
  int r = *ret_begun > 0 ? make_state(c, &b, state, state_root, err) : 0;
  if (made)
    pthread_join(beside, NULL);
  else
    digest_parts(&b);
  st_digester_final(b.digester, body);
  if (r == 0 && *ret_begun > 0)
    st_began_release(c);
  return r;
}
