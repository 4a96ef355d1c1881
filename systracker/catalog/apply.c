/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apply.c - a checkpoint that was made elsewhere, taken into this catalog of its host.
 *
 * Nothing of it is believed: the signature has to be that of the key that the folder is named
 * after, the header has to name ours, body and declarations have to be what it was signed over, and
 * the state root has to come out of the facts as they are then stored here.  One transaction: what
 * is refused leaves nothing behind.
 *
 * Where checkpoints are passed over (snapshot.c) the body is another than the one that was signed;
 * their headers have to link all the same, and the state root then proves the facts alone.
 */
#include "systracker/catalog/snapshot.h"

#include "systracker/base/escape.h"
#include "systracker/base/log.h"

#define TABLES_MAX 4096

void st_changeset_clear(struct st_changeset *set)
{
  st_buffer_free(&set->header);
  st_buffer_free(&set->declarations);
  st_buffer_free(&set->body);
  st_buffer_free(&set->between);
}

int st_changeset_read(struct st_catalog *c, int64_t number, struct st_changeset *ret,
                      struct st_error *err)
{
  st_buffer_clear(&ret->header);
  st_buffer_clear(&ret->declarations);
  st_buffer_clear(&ret->body);
  st_buffer_clear(&ret->between);
  ret->since = st_catalog_before(c, number);
  if (st_changeset_header(c, number, &ret->header, err) < 0 ||
      st_changeset_declarations(c, number, &ret->declarations, err) < 0 ||
      st_changeset_body(c, number, &ret->body, err) < 0)
    return -1;
  return 0;
}

/* ---- The header ------------------------------------------------------------------------------ */

struct head {
  struct st_header header;
  bool any;
};

/* Its signature was proved when it was taken; and the next one's is over its digest. */
static int read_head(void *arg, int64_t number, const void *data, size_t length,
                     struct st_error *err)
{
  struct head *head = arg;

  (void)number;
  if (st_header_parse(&head->header, data, length, err) < 0)
    return -1;
  head->any = true;
  head->header.message = NULL; /* it was borrowed */
  return 0;
}

static int check_digest(const struct st_buffer *bytes, const uint8_t expected[ST_DIGEST_SIZE],
                        const char *what, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];

  st_digest(digest, bytes->data ? bytes->data : "", bytes->length);
  if (memcmp(digest, expected, sizeof(digest)) != 0)
    return st_fail(err, 0, "%s not what was signed", what);
  return 0;
}

/* One that is passed over: it takes the place of the head. */
static int follow(void *arg, enum st_held why, const void *data, size_t length,
                  struct st_error *err)
{
  struct head *head = arg;
  struct st_header h;

  (void)why;
  if (st_header_read(&h, data, length, err) < 0 ||
      st_header_follows(&h, head->any ? &head->header : NULL, err) < 0)
    return -1;
  head->header = h;
  head->any = true;
  return 0;
}

/* Whether something is passed over, or the facts before it are not here: it has to be a body that
 * fits what is here then. */
static int check_since(struct st_catalog *c, const struct st_changeset *set,
                       const struct st_header *h, bool *ret_passed, struct st_error *err)
{
  int64_t latest = st_catalog_latest(c);

  *ret_passed = set->since != h->number - 1 || set->between.length > 0;
  if (set->since == latest || (set->since == 0 && *ret_passed))
    return 0;
  return st_fail(err, 0, "it tells what changed since checkpoint %lld, and the latest here is %lld",
                 (long long)set->since, (long long)latest);
}

static int check_header(struct st_catalog *c, const struct st_changeset *set, struct st_header *h,
                        struct st_error *err)
{
  struct head head = {0};
  char host_id[ST_HOST_ID_SIZE];
  bool passed;

  if ((set->proved ? st_header_parse : st_header_read)(h, set->header.data, set->header.length,
                                                       err) < 0)
    return -1;
  st_host_id(host_id, h->public_key);
  if (strcmp(host_id, c->host_id) != 0)
    return st_fail(err, 0, "it is signed by host %s", host_id);
  if (st_headers_each(c, st_catalog_latest(c) - 1, read_head, &head, err) < 0 ||
      st_between_each(set, follow, &head, err) < 0 ||
      st_header_follows(h, head.any ? &head.header : NULL, err) < 0 ||
      check_digest(&set->declarations, h->declarations, "its tables are", err) < 0 ||
      check_since(c, set, h, &passed, err) < 0)
    return -1;
  return passed ? 0 : check_digest(&set->body, h->body, "its facts are", err);
}

/* ---- Declarations ---------------------------------------------------------------------------- */

/* One table as it was declared, with names of its own. */
struct declared {
  char plugin[80], name[80];
  char columns[ST_MAX_COLUMNS][80];
  struct st_column list[ST_MAX_COLUMNS];
  struct st_table table[2]; /* the second ends the list */
};

static int read_name(struct st_cbor *in, char out[80], struct st_error *err)
{
  const char *text;
  size_t length;

  if (st_cbor_read_text(in, &text, &length, err) < 0)
    return -1;
  if (length == 0 || length >= 80)
    return st_fail(err, 0, "a declaration has no proper name");
  memcpy(out, text, length);
  out[length] = 0;
  return 0;
}

static int read_number(struct st_cbor *in, unsigned *ret, struct st_error *err)
{
  int64_t n;

  if (st_cbor_read_integer(in, &n, err) < 0)
    return -1;
  if (n < 0 || n > INT32_MAX)
    return st_fail(err, 0, "a declaration is out of range");
  *ret = (unsigned)n;
  return 0;
}

static int read_column(struct st_cbor *in, struct declared *d, size_t i, struct st_error *err)
{
  uint64_t three;
  unsigned type = 0;

  if (st_cbor_read_array(in, &three, err) < 0)
    return -1;
  if (three != 3)
    return st_fail(err, 0, "a declaration is malformed");
  if (read_name(in, d->columns[i], err) < 0 || read_number(in, &type, err) < 0 ||
      read_number(in, &d->list[i].flags, err) < 0)
    return -1;
  if (type > ST_ID)
    return st_fail(err, 0, "a column of a type that only a newer version of SysTracker knows");
  d->list[i].name = d->columns[i];
  d->list[i].type = (enum st_value_type)type;
  return 0;
}

static int read_table(struct st_cbor *in, struct declared *d, struct st_error *err)
{
  uint64_t n;
  int r = 0;

  if (st_cbor_read_array(in, &n, err) < 0)
    return -1;
  if (n != 4)
    return st_fail(err, 0, "a declaration is malformed");
  if (read_name(in, d->plugin, err) < 0 || read_name(in, d->name, err) < 0 ||
      read_number(in, &d->table[0].flags, err) < 0 || st_cbor_read_array(in, &n, err) < 0)
    return -1;
  if (n == 0 || n > ST_MAX_COLUMNS)
    return st_fail(err, 0, "a table of %llu columns", (unsigned long long)n);
  for (size_t i = 0; i < n && r == 0; i++)
    r = read_column(in, d, i, err);
  d->table[0].name = d->name;
  d->table[0].ncolumns = (size_t)n;
  d->table[0].columns = d->list;
  return r;
}

static int declare_all(struct st_catalog *c, const struct st_changeset *set,
                       const struct st_header *h, struct st_error *err)
{
  ST_AUTO_FREE struct declared *d = st_calloc(1, sizeof(*d));
  ST_AUTO_BUFFER again = ST_BUFFER_INIT;
  struct st_cbor in = {(const uint8_t *)set->declarations.data, set->declarations.length};
  uint64_t count;

  if (st_cbor_read_array(&in, &count, err) < 0)
    return -1;
  if (count > TABLES_MAX)
    return st_fail(err, 0, "%llu tables are too many", (unsigned long long)count);
  for (uint64_t i = 0; i < count; i++)
    if (read_table(&in, d, err) < 0 || st_catalog_declare(c, d->plugin, d->table, err) < 0)
      return -1;
  /* In our words they have to be the same bytes: nothing more, and nothing of ours besides. */
  st_tables_encode(c, h->number, &again);
  if (again.length != set->declarations.length ||
      memcmp(again.data, set->declarations.data, again.length) != 0)
    return st_fail(err, 0, "its tables do not follow those of the checkpoint before");
  return 0;
}

/* ---- Rows --------------------------------------------------------------------------------------
 */

struct apply {
  struct st_catalog *c;
  const struct st_changeset *set;
  int64_t latest; /* before it */
  struct st_checkpoint cp;
  struct st_snapshot *snapshot; /* NULL: the body tells what changed */
  st_body_fn *check;            /* may be NULL */
  void *arg;
};

static const struct st_catalog_table *table_of(void *arg, const char *name)
{
  return st_catalog_table(((struct apply *)arg)->c, name);
}

/* Ends the row that is in force; returns whether there was one. */
static int end_row(struct apply *a, struct st_table_full *t, const struct st_value *key,
                   struct st_error *err)
{
  sqlite3_stmt *s = st_table_statement(a->c, t, ST_ROW_END, err);

  if (!s || st_bind_key(a->c, s, 1, t, key, false, err) < 0)
    return -1;
  sqlite3_bind_int64(s, 1 + (int)t->pub.nkeys, a->cp.number);
  if (st_sql_run(a->c, s, err) < 0)
    return -1;
  return sqlite3_changes(a->c->db) > 0;
}

static int begin_row(struct apply *a, struct st_table_full *t, const struct st_body_row *row,
                     struct st_error *err)
{
  int keys = (int)t->pub.nkeys;
  sqlite3_stmt *s = st_table_statement(a->c, t, ST_ROW_BEGIN, err);

  if (!s)
    return -1;
  sqlite3_clear_bindings(s);
  if (st_bind_key(a->c, s, 1, t, row->values, true, err) < 0)
    return -1;
  sqlite3_bind_int64(s, keys + 1, a->cp.number);
  sqlite3_bind_int(s, keys + 2, row->absent);
  if (!row->absent && st_bind_values(a->c, s, keys + 3, t, row->values, err) < 0)
    return -1;
  return st_sql_run(a->c, s, err);
}

static int apply_row(void *arg, const struct st_body_row *row, struct st_error *err)
{
  struct apply *a = arg;
  struct st_table_full *t = st_full(row->table);
  if (a->check && a->check(a->arg, row, err) < 0)
    return -1;
  int is_new = a->snapshot ? st_snapshot_row(a->snapshot, row, err) : 1;
  int ended = is_new > 0 ? end_row(a, t, row->values, err) : is_new;

  if (is_new <= 0 || ended < 0)
    return is_new < 0 ? is_new : ended;
  t->applied = a->cp.number;
  if (row->begun) {
    a->cp.begun++;
    return begin_row(a, t, row, err);
  }
  a->cp.ended++;
  return ended ? 0 : st_fail(err, 0, "a fact ends that was not there (%s)", t->pub.name);
}

static int apply_end(void *arg, struct st_table_full *t, const struct st_value *key,
                     struct st_error *err)
{
  const struct st_body_row row = {&t->pub, false, false, key};

  return apply_row(arg, &row, err);
}

static int apply_rows(struct apply *a, struct st_error *err)
{
  const struct st_buffer *body = &a->set->body;
  bool snapshot = a->set->since == 0;
  ST_CLEANUP(st_snapshot_freep)
  struct st_snapshot *s = snapshot ? st_snapshot_new(a->c, a->latest) : NULL;

  a->snapshot = s;
  if (st_body_read(body->data ? body->data : "", body->length, table_of, apply_row, a, err) < 0)
    return -1;
  if (a->check && a->check(a->arg, NULL, err) < 0)
    return -1;
  a->snapshot = NULL;
  return s ? st_snapshot_end(s, apply_end, a, err) : 0;
}

/* Tags are facts to us: what they name is as it was at the latest checkpoint. */
static int store_tag(void *arg, const struct st_fact_row *fact, struct st_error *err)
{
  struct st_catalog *c = arg;
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c, "INSERT OR REPLACE INTO tag (name, number) VALUES (?1, ?2)", err);

  if (!s)
    return -1;
  st_bind(s, 1, &fact->values[0]);
  st_bind(s, 2, &fact->values[1]);
  return st_sql_run(c, s, err);
}

static int store_tags(struct apply *a, struct st_error *err)
{
  const struct st_catalog_table *table = st_catalog_table(a->c, "core_tag");

  if (!table || st_full(table)->applied != a->cp.number || table->declaration.ncolumns < 2 ||
      table->nkeys != 1 || table->declaration.columns[0].type != ST_TEXT ||
      table->declaration.columns[1].type != ST_INTEGER)
    return 0;
  if (st_sql_exec(a->c, "DELETE FROM tag", err) < 0)
    return -1;
  return st_catalog_each(a->c, a->cp.number, table, NULL, store_tag, a->c, err);
}

/* ---- The whole ---------------------------------------------------------------------------------
 */

static void digest_piece(void *arg, const void *data, size_t length)
{
  st_digester_add(arg, data, length);
}

/* What is stored now says what the body said, where that tells what changed: read back once, for
 * the body's digest and for the tree.  Nothing was written to the other tables. */
static int check_changes(struct apply *a, const struct st_header *h, struct st_error *err)
{
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  ST_CLEANUP(st_state_freep) struct st_state *state = st_state_new(a->c);
  uint8_t digest[ST_DIGEST_SIZE];

  if (st_body_write_applied(a->c, a->set->since, h->number, digest_piece, d, state, err) < 0)
    return -1;
  st_digester_final(d, digest);
  if (check_digest(&a->set->body, digest, "its facts, as they were stored, are", err) < 0)
    return -1;
  return a->cp.begun + a->cp.ended > 0 ? st_state_root(state, a->cp.state_root, err) : 0;
}

/* The same where it tells all facts, over some that were there. */
static int check_snapshot(struct apply *a, const struct st_header *h, struct st_error *err)
{
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  uint8_t digest[ST_DIGEST_SIZE];

  if (st_body_write_since(a->c, a->set->since, h->number, digest_piece, d, err) < 0)
    return -1;
  st_digester_final(d, digest);
  if (check_digest(&a->set->body, digest, "its facts, as they were stored, are", err) < 0)
    return -1;
  return a->cp.begun + a->cp.ended > 0 ? st_state_update(a->c, h->number, a->cp.state_root, err)
                                       : 0;
}

static int check_state(struct apply *a, const struct st_header *h, struct st_error *err)
{
  struct st_checkpoint before;

  if (a->cp.begun + a->cp.ended == 0 && a->latest > 0) {
    if (st_catalog_checkpoint(a->c, a->latest, &before, err) < 0)
      return -1;
    memcpy(a->cp.state_root, before.state_root, ST_DIGEST_SIZE);
    st_checkpoint_clear(&before);
  }
  if (memcmp(a->cp.state_root, h->state_root, ST_DIGEST_SIZE) != 0)
    return st_fail(err, 0, "its state root is not that of its facts");
  return 0;
}

static int check_stored(struct apply *a, const struct st_header *h, struct st_error *err)
{
  bool changes = a->set->since == st_catalog_before(a->c, h->number);

  if ((changes ? check_changes : check_snapshot)(a, h, err) < 0)
    return -1;
  return check_state(a, h, err);
}

static int apply_body(struct apply *a, const struct st_header *h, struct st_error *err)
{
  ST_AUTO_FREE char *message = h->message ? st_memdup(h->message, h->message_length) : NULL;

  a->cp.number = h->number;
  a->cp.time = h->time;
  a->cp.epoch = h->epoch;
  a->cp.incomplete = h->incomplete;
  a->cp.message = message;
  memcpy(a->cp.header_digest, h->digest, ST_DIGEST_SIZE);
  if (apply_rows(a, err) < 0 || check_stored(a, h, err) < 0 ||
      st_checkpoint_store(a->c, &a->cp, &a->set->header, err) < 0)
    return -1;
  return a->cp.begun + a->cp.ended > 0 ? store_tags(a, err) : 0;
}

/* Columns that are new here begin with it, behind those that are passed over. */
static int apply(struct apply *a, const struct st_header *h, struct st_error *err)
{
  struct st_catalog *c = a->c;

  a->latest = st_catalog_latest(c);
  if (st_between_store(c, a->set, err) < 0 || declare_all(c, a->set, h, err) < 0)
    return -1;
  c->base = a->latest;
  c->number = h->number;
  c->scanning = true;
  if (apply_body(a, h, err) < 0)
    return -1;
  return st_sql_exec(c, "COMMIT", err);
}

/* Forgets what was declared along with what was stored. */
static void undo(struct st_catalog *c)
{
  ST_AUTO_ERROR ignored = ST_ERROR_INIT;

  c->scanning = true;
  st_tables_free(c); /* their statements would keep the transaction open */
  st_catalog_rollback(c);
  if (st_tables_load(c, &ignored) < 0 || st_gaps_load(c, &ignored) < 0)
    st_log(ST_LOG_WARNING, "%s", st_error_text(&ignored));
}

int st_catalog_apply(struct st_catalog *c, const struct st_changeset *set, struct st_error *err)
{
  return st_catalog_apply_checked(c, set, NULL, NULL, err);
}

int st_catalog_apply_checked(struct st_catalog *c, const struct st_changeset *set,
                             st_body_fn *check, void *arg, struct st_error *err)
{
  ST_AUTO_ERROR late = ST_ERROR_INIT;
  struct apply a = {.c = c, .set = set, .check = check, .arg = arg};
  struct st_header h;

  if (!c->writer || c->scanning)
    return st_fail(err, 0, "catalog: it cannot be written to now (%s)", c->name);
  if (check_header(c, set, &h, err) < 0)
    return st_wrap(err, "a checkpoint was not taken");
  if (st_sql_exec(c, "BEGIN IMMEDIATE", err) < 0)
    return -1;
  if (apply(&a, &h, err) < 0) {
    undo(c);
    return st_wrap(err, "checkpoint %lld was not taken", (long long)h.number);
  }
  c->scanning = false;
  c->manifests.checked = false;
  st_owners_forget(c);
  /* It is taken: what fails now is completed by the next writer. */
  if (st_chain_complete(c, &late) < 0)
    st_log(ST_LOG_WARNING, "%s", st_error_text(&late));
  return 0;
}
