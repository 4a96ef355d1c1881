/* SPDX-License-Identifier: GPL-2.0-or-later */
/* commit.c - the open scan becomes a checkpoint: digests, header, signature, transaction, chain. */
#include "systracker/catalog/internal.h"

#include "systracker/base/escape.h"
#include "systracker/base/log.h"

static void digest_piece(void *arg, const void *data, size_t length)
{
  st_digester_add(arg, data, length);
}

/* The body's digest and the state root; what changed is read once for both. */
static int digest_changes(struct st_catalog *c, struct st_checkpoint *cp,
                          uint8_t out[ST_DIGEST_SIZE], struct st_error *err)
{
  if (c->base == 0)
    return st_baseline_digest(c, out, cp->state_root, &cp->begun, err);

  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  ST_CLEANUP(st_state_freep) struct st_state *state = st_state_new(c);
  int r = st_body_write_counted(c, cp->number, digest_piece, d, st_state_note, state, &cp->begun,
                                &cp->ended, err);

  if (r < 0)
    return r;
  st_digester_final(d, out);
  return cp->begun + cp->ended > 0 ? st_state_root(state, cp->state_root, err) : 0;
}

static void digest_declarations(struct st_catalog *c, int64_t number, uint8_t out[ST_DIGEST_SIZE])
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;

  st_tables_encode(c, number, &bytes);
  st_digest(out, bytes.data, bytes.length);
}

/* The epoch and the state root of the checkpoint before: where nothing changed, they stand. */
static int inherit(struct st_catalog *c, struct st_checkpoint *cp, struct st_header *h,
                   struct st_error *err)
{
  struct st_checkpoint before;

  cp->epoch = 1;
  if (c->base == 0)
    return 0;
  if (st_catalog_checkpoint(c, c->base, &before, err) < 0)
    return -1;
  cp->epoch = before.epoch < c->epoch ? c->epoch : before.epoch;
  memcpy(cp->state_root, before.state_root, ST_DIGEST_SIZE);
  memcpy(h->previous, before.header_digest, ST_DIGEST_SIZE);
  st_checkpoint_clear(&before);
  return 0;
}

static int make_header(struct st_catalog *c, const struct st_keys *keys, struct st_checkpoint *cp,
                       struct st_buffer *out, struct st_error *err)
{
  struct st_header h = {
      .number = cp->number,
      .time = cp->time,
      .incomplete = cp->incomplete,
      .message = cp->message,
      .message_length = cp->message ? strlen(cp->message) : 0,
  };

  if (inherit(c, cp, &h, err) < 0 || digest_changes(c, cp, h.body, err) < 0)
    return -1;
  h.epoch = cp->epoch;
  memcpy(h.public_key, keys->public_key, sizeof(h.public_key));
  memcpy(h.state_root, cp->state_root, sizeof(h.state_root));
  digest_declarations(c, cp->number, h.declarations);
  if (st_header_write(&h, keys, out, err) < 0)
    return -1;
  memcpy(cp->header_digest, h.digest, sizeof(h.digest));
  return out->length <= ST_HEADER_MAX ? 0 : st_refuse(err, "the message is too long");
}

/* NULL where it is the one that the checkpoint before has. */
static void bind_changed(sqlite3_stmt *s, int at, const uint8_t *now, const uint8_t *before,
                         size_t length)
{
  if (memcmp(now, before, length) != 0)
    sqlite3_bind_blob(s, at, now, (int)length, SQLITE_STATIC);
}

/* What is stored has to give the very bytes that were signed. */
static int check_composed(const struct st_header *h, const struct st_header *before,
                          const struct st_buffer *header, struct st_error *err)
{
  ST_AUTO_BUFFER again = ST_BUFFER_INIT;

  if (memcmp(h->previous, before->digest, ST_DIGEST_SIZE) != 0)
    return st_fail(err, 0, "checkpoint %lld: does not name the header before it",
                   (long long)h->number);
  st_header_compose(h, &again);
  if (again.length != header->length || memcmp(again.data, header->data, again.length) != 0)
    return st_fail(err, 0, "checkpoint %lld: its header is in no form of ours",
                   (long long)h->number);
  return 0;
}

int st_checkpoint_store(struct st_catalog *c, const struct st_checkpoint *cp,
                        const struct st_buffer *header, struct st_error *err)
{
  struct st_header h, before;

  if (st_header_parse(&h, header->data, header->length, err) < 0 ||
      st_header_before(c, h.number, &before, err) < 0 ||
      check_composed(&h, &before, header, err) < 0)
    return -1;
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c,
                     "INSERT INTO checkpoint (number, time, epoch, message, incomplete, begun,"
                     " ended, state_root, header_digest, body, signature, declarations, public_key)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                     err);

  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, cp->number);
  sqlite3_bind_int64(s, 2, cp->time);
  sqlite3_bind_int64(s, 3, cp->epoch);
  sqlite3_bind_text(s, 4, cp->message, -1, SQLITE_STATIC);
  sqlite3_bind_int(s, 5, cp->incomplete);
  sqlite3_bind_int64(s, 6, cp->begun);
  sqlite3_bind_int64(s, 7, cp->ended);
  sqlite3_bind_blob(s, 8, h.state_root, ST_DIGEST_SIZE, SQLITE_STATIC);
  sqlite3_bind_blob(s, 9, h.digest, ST_DIGEST_SIZE, SQLITE_STATIC);
  sqlite3_bind_blob(s, 10, h.body, ST_DIGEST_SIZE, SQLITE_STATIC);
  sqlite3_bind_blob(s, 11, h.signature, ST_SIGNATURE_SIZE, SQLITE_STATIC);
  bind_changed(s, 12, h.declarations, before.declarations, ST_DIGEST_SIZE);
  bind_changed(s, 13, h.public_key, before.public_key, ST_PUBLIC_KEY_SIZE);
  return st_sql_run(c, s, err);
}

static int make(struct st_catalog *c, const struct st_keys *keys, struct st_checkpoint *cp,
                struct st_error *err)
{
  ST_AUTO_BUFFER header = ST_BUFFER_INIT;

  if (st_tags_put(c, err) < 0 || make_header(c, keys, cp, &header, err) < 0 ||
      st_checkpoint_store(c, cp, &header, err) < 0)
    return -1;
  if (c->durable.wait && c->durable.wait(c->durable.arg, err) < 0)
    return -1;
  return st_sql_exec(c, "COMMIT", err);
}

static int check(struct st_catalog *c, const struct st_keys *keys, const char *message,
                 struct st_error *err)
{
  if (!c->scanning || !c->writer)
    return st_fail(err, 0, "catalog: no scan is open that could be committed (%s)", c->name);
  if (strcmp(keys->host_id, c->host_id) != 0)
    return st_fail(err, 0, "catalog: the key is another host's (%s)", c->name);
  if (message && !st_is_utf8(message, strlen(message)))
    return st_refuse(err, "the message is not UTF-8");
  return 0;
}

int st_catalog_commit(struct st_catalog *c, const struct st_keys *keys, int64_t time,
                      const char *message, bool incomplete, struct st_checkpoint *ret,
                      struct st_error *err)
{
  ST_AUTO_ERROR late = ST_ERROR_INIT;
  struct st_checkpoint cp = {.time = time, .incomplete = incomplete, .number = c->number};

  *ret = cp;
  if (check(c, keys, message, err) < 0)
    return -1;
  cp.message = message ? st_strdup(message) : NULL;
  st_scan_close_cursors(c);
  st_readahead_stop(c);
  if (make(c, keys, &cp, err) < 0) {
    st_checkpoint_clear(&cp);
    st_catalog_rollback(c);
    return -1;
  }
  c->scanning = false;
  st_first_end(c);
  st_owners_forget(c);
  st_began_end(c);
  st_checkpoint_clear(&cp);
  /* The checkpoint is made: what fails now is completed by the next writer. */
  if (c->base == 0)
    st_catalog_write_logged(c);
  if (st_chain_complete(c, &late) < 0)
    st_log(ST_LOG_WARNING, "%s", st_error_text(&late));
  return st_catalog_checkpoint(c, c->number, ret, err);
}

int st_catalog_open_epoch(struct st_catalog *c, const struct st_keys *keys, int64_t epoch,
                          const char *message, struct st_checkpoint *ret, struct st_error *err)
{
  struct st_checkpoint before;

  *ret = (struct st_checkpoint){0};
  if (st_catalog_checkpoint(c, st_catalog_latest(c), &before, err) < 0 ||
      st_catalog_start(c, err) < 0)
    return -1;
  c->epoch = epoch;
  int r = st_catalog_commit(c, keys, before.time, message, before.incomplete, ret, err);
  c->epoch = 0;
  st_checkpoint_clear(&before);
  return r;
}
