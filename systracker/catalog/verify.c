/* SPDX-License-Identifier: GPL-2.0-or-later */
/* verify.c - everything the catalog claims, proved again. */
#include "systracker/catalog/internal.h"

#include "systracker/base/escape.h"

struct verify {
  struct st_catalog *c;
  void (*found)(void *arg, const char *words);
  void *arg;
  int damage;
  /* Along the chain: */
  struct st_header previous;
  bool any;
  struct st_buffer file; /* digests of the chain file's records */
  size_t records;
};

static void ST_PRINTF(2, 3) report(struct verify *v, const char *fmt, ...)
{
  va_list ap;

  va_start(ap, fmt);
  ST_AUTO_FREE char *words = st_vformat(fmt, ap);
  va_end(ap);
  v->damage++;
  v->found(v->arg, words);
}

static int check_database(struct verify *v, struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(v->c, "PRAGMA integrity_check(100)", err);
  int r;

  if (!s)
    return -1;
  while ((r = st_sql_step(v->c, s, err)) == 1) {
    const char *words = (const char *)sqlite3_column_text(s, 0);
    if (words && strcmp(words, "ok") != 0)
      report(v, "%s: %s", v->c->name, words);
  }
  return r;
}

/* ---- Each checkpoint ------------------------------------------------------------------------- */

static void digest_piece(void *arg, const void *data, size_t length)
{
  st_digester_add(arg, data, length);
}

/* What changed since the checkpoint before; where that is not here, all facts at this one. */
static int digest_facts(struct verify *v, const struct st_header *h, bool *ret_same,
                        struct st_error *err)
{
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  uint8_t digest[ST_DIGEST_SIZE];
  bool whole = st_catalog_before(v->c, h->number) == h->number - 1;

  if (whole ? st_body_write(v->c, h->number, digest_piece, d, err) < 0
            : st_state_compute(v->c, h->number, digest, err) < 0)
    return -1;
  if (whole)
    st_digester_final(d, digest);
  *ret_same = memcmp(digest, whole ? h->body : h->state_root, sizeof(digest)) == 0;
  return 0;
}

static int check_body(struct verify *v, const struct st_header *h, struct st_error *err)
{
  ST_AUTO_BUFFER declarations = ST_BUFFER_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  bool same;

  if (st_catalog_held(v->c, h->number) != ST_HELD)
    return 0;
  if (digest_facts(v, h, &same, err) < 0)
    return -1;
  if (!same)
    report(v, "checkpoint %lld: its facts are not those that were signed", (long long)h->number);
  st_tables_encode(v->c, h->number, &declarations);
  st_digest(digest, declarations.data, declarations.length);
  if (memcmp(digest, h->declarations, sizeof(digest)) != 0)
    report(v, "checkpoint %lld: its tables are not those that were signed", (long long)h->number);
  return 0;
}

/* What the row of the checkpoint says beside its header. */
static int check_row(struct verify *v, const struct st_header *h, struct st_error *err)
{
  struct st_checkpoint cp;

  if (st_catalog_checkpoint(v->c, h->number, &cp, err) < 0)
    return -1;
  size_t length = cp.message ? strlen(cp.message) : 0;
  bool same = cp.time == h->time && cp.epoch == h->epoch && cp.incomplete == h->incomplete &&
              !cp.message == !h->message && length == h->message_length &&
              (!length || memcmp(cp.message, h->message, length) == 0) &&
              memcmp(cp.state_root, h->state_root, ST_DIGEST_SIZE) == 0 &&
              memcmp(cp.header_digest, h->digest, ST_DIGEST_SIZE) == 0;
  st_checkpoint_clear(&cp);
  if (!same)
    report(v, "checkpoint %lld: is listed otherwise than it was signed", (long long)h->number);
  return 0;
}

static void check_file_record(struct verify *v, const struct st_header *h)
{
  size_t at = v->records * ST_DIGEST_SIZE;

  v->records++;
  if (at >= v->file.length)
    report(v, "chain: lacks checkpoint %lld", (long long)h->number);
  else if (memcmp(v->file.data + at, h->digest, ST_DIGEST_SIZE) != 0)
    report(v, "chain: its record %zu is not checkpoint %lld of the catalog", v->records,
           (long long)h->number);
}

static void check_links(struct verify *v, const struct st_header *h)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  char host_id[ST_HOST_ID_SIZE];

  st_host_id(host_id, h->public_key);
  if (strcmp(host_id, v->c->host_id) != 0)
    report(v, "checkpoint %lld: signed by host %s", (long long)h->number, host_id);
  if (st_header_follows(h, v->any ? &v->previous : NULL, &why) < 0)
    report(v, "%s", st_error_text(&why));
}

static int check_checkpoint(void *arg, int64_t number, const void *data, size_t length,
                            struct st_error *err)
{
  struct verify *v = arg;
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct st_header h;

  (void)err;
  if (st_header_read(&h, data, length, &why) < 0) {
    report(v, "checkpoint %lld: %s", (long long)number, st_error_text(&why));
    v->records++;
    return 0;
  }
  if (h.number != number)
    report(v, "checkpoint %lld: its header is that of %lld", (long long)number,
           (long long)h.number);
  check_links(v, &h);
  check_file_record(v, &h);
  v->any = true;
  v->previous = h; /* its message is not looked at again */
  if (h.number == number && (check_row(v, &h, &why) < 0 || check_body(v, &h, &why) < 0))
    report(v, "checkpoint %lld: cannot be read: %s", (long long)number, st_error_text(&why));
  return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static int add_record(void *arg, const uint8_t digest[ST_DIGEST_SIZE], struct st_error *err)
{
  (void)err;
  st_buffer_append(arg, digest, ST_DIGEST_SIZE);
  return 0;
}

static int check_chain(struct verify *v, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = st_chain_each(v->c, add_record, &v->file, &why);

  if (r != 0)
    report(v, "chain: %s", r < 0 ? st_error_text(&why) : "ends within a record");
  if (st_headers_each(v->c, 0, check_checkpoint, v, err) < 0)
    return -1;
  if (v->file.length > v->records * ST_DIGEST_SIZE)
    report(v, "chain: has records after the catalog's latest checkpoint");
  return 0;
}

/* Rows of one key follow each other: a row that ends where the next begins is in no body as ended,
 * so what the bodies prove is the whole only where none overlap. */
static void check_rows(struct verify *v, const struct st_table_full *t, int64_t latest)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  ST_AUTO_BUFFER keys = ST_BUFFER_INIT;
  int64_t n;

  for (size_t i = 0; i < t->pub.nkeys; i++)
    st_buffer_printf(&keys, "%s\"%s\"", i ? ", " : "", t->pub.declaration.columns[i].name);
  ST_AUTO_FREE char *sql =
      st_format("SELECT count(*) FROM (SELECT since, until, lead(since) OVER (PARTITION BY %s"
                " ORDER BY since) AS next FROM \"%s\") WHERE until <= since OR since < 1 OR"
                " max(since, ifnull(until, 0)) > %lld OR ifnull(until, %lld + 1) > next",
                keys.data, t->pub.name, (long long)latest, (long long)latest);
  if (st_sql_number(v->c, sql, 0, &n, &why) < 0)
    report(v, "table %s: cannot be read: %s", t->pub.name, st_error_text(&why));
  else if (n > 0)
    report(v, "table %s: %lld rows do not follow each other", t->pub.name, (long long)n);
}

static void check_tables(struct verify *v)
{
  int64_t latest = st_catalog_latest(v->c);

  for (size_t i = 0; i < v->c->count; i++)
    if (v->c->tables[i]->stored)
      check_rows(v, v->c->tables[i], latest);
}

static bool is_tree_right(struct verify *v, const uint8_t root[ST_DIGEST_SIZE])
{
  uint8_t kept[ST_DIGEST_SIZE];

  return st_state_read(v->c, kept, NULL) == 0 && memcmp(root, kept, sizeof(kept)) == 0 &&
         st_state_check(v->c, NULL) == 0;
}

static int make_tree_again(struct st_catalog *c, struct st_error *err)
{
  if (st_sql_exec(c, "SAVEPOINT tree", err) < 0)
    return -1;
  if (st_state_rebuild(c, err) == 0 && st_sql_exec(c, "RELEASE tree", err) == 0)
    return 0;
  sqlite3_exec(c->db, "ROLLBACK TO tree; RELEASE tree", NULL, NULL, NULL);
  return -1;
}

/* `root` is that of the facts, and signed: a writer makes the tree from them again. */
static void check_tree(struct verify *v, const uint8_t root[ST_DIGEST_SIZE])
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  const char *made = "";

  if (is_tree_right(v, root))
    return;
  if (v->c->writer)
    made =
        make_tree_again(v->c, &why) == 0 ? "; it was made again" : "; it could not be made again";
  report(v, "%s: its state tree is not that of its facts%s", v->c->name, made);
  if (why.message)
    report(v, "%s", st_error_text(&why));
}

static void check_state(struct verify *v)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int64_t latest = st_catalog_latest(v->c);
  uint8_t root[ST_DIGEST_SIZE];
  struct st_checkpoint cp;

  if (latest == 0)
    return;
  if (st_catalog_checkpoint(v->c, latest, &cp, &why) < 0 ||
      st_state_compute(v->c, latest, root, &why) < 0)
    report(v, "checkpoint %lld: cannot be read: %s", (long long)latest, st_error_text(&why));
  else if (memcmp(root, cp.state_root, sizeof(root)) != 0)
    report(v, "checkpoint %lld: its state root is not that of its facts", (long long)latest);
  else
    check_tree(v, root);
  st_checkpoint_clear(&cp);
}

static void wrong_manifest(void *arg, const struct st_id *id)
{
  struct verify *v = arg;
  char hex[2 * ST_DIGEST_SIZE + 1];

  st_hex(hex, id->digest, sizeof(id->digest));
  report(v, "%s: the paths that it knows of manifest %.16s are not those of the manifest",
         v->c->name, hex);
}

/* Where a manifest is not at hand, that is the store's to say. */
static void check_manifests(struct verify *v)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;

  if (st_known_verify(v->c, wrong_manifest, v, &why) < 0)
    report(v, "%s", st_error_text(&why));
}

int st_catalog_verify(struct st_catalog *c, void (*found)(void *arg, const char *words), void *arg,
                      struct st_error *err)
{
  struct verify v = {.c = c, .found = found, .arg = arg};
  ST_AUTO_ERROR why = ST_ERROR_INIT;

  if (check_database(&v, &why) < 0)
    report(&v, "%s", st_error_text(&why));
  int r = check_chain(&v, err);
  check_tables(&v);
  check_state(&v);
  check_manifests(&v);
  st_buffer_free(&v.file);
  return r < 0 ? r : v.damage;
}
