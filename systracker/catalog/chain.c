/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain.c - the chain: headers as the catalog has them, and the file `chain`: "SysTracker chain
 * 2\n", then for each checkpoint the digest of its header with the signature (32 bytes).
 *
 * The catalog commits first.  So after a kill the file lags behind, or ends within a record; the
 * next writer completes it.  Whatever else differs was not our doing, and is left for people.
 *
 * In version 1 a record is the length of the header without the signature (32 bits, little-endian),
 * the header, the signature, as headers travel; the next writer makes it anew.
 */
#include "systracker/catalog/internal.h"

#include <fcntl.h>

#include "systracker/base/file.h"

static const char magic[] = "SysTracker chain 2\n", old_magic[] = "SysTracker chain 1\n";
#define MAGIC_SIZE (sizeof(magic) - 1)
#define MAX_CHAIN ((size_t)1 << 30)

/* ---- Read ------------------------------------------------------------------------------------ */

static int read_chain(struct st_catalog *c, struct st_buffer *out, struct st_error *err)
{
  int r = st_read_file(c->dir, "chain", MAX_CHAIN, out, err);

  if (r == -ENOENT) {
    st_error_clear(err);
    return 0;
  }
  return r;
}

static uint32_t read_length(const char *p)
{
  const uint8_t *b = (const uint8_t *)p;

  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

int st_chain_next(const struct st_buffer *chain, size_t at, const char **ret, size_t *ret_length,
                  struct st_error *err)
{
  size_t left = at < chain->length ? chain->length - at : 0;

  if (left < 4)
    return 1;
  *ret_length = (size_t)read_length(chain->data + at) + ST_SIGNATURE_SIZE;
  if (*ret_length > ST_HEADER_MAX)
    return st_fail(err, 0, "chain: a record of %zu bytes", *ret_length);
  *ret = chain->data + at + 4;
  return left - 4 < *ret_length;
}

void st_chain_record(struct st_buffer *out, const void *data, size_t length)
{
  uint32_t n = (uint32_t)(length - ST_SIGNATURE_SIZE);
  uint8_t bytes[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};

  st_buffer_append(out, bytes, sizeof(bytes));
  st_buffer_append(out, data, length);
}

static bool begins_with(const struct st_buffer *chain, const char *line)
{
  return chain->length >= MAGIC_SIZE && memcmp(chain->data, line, MAGIC_SIZE) == 0;
}

/* The digest of the record at `*at`, which moves behind it.  1: the file ends before that. */
static int next_digest(const struct st_buffer *chain, size_t *at, uint8_t out[ST_DIGEST_SIZE],
                       struct st_error *err)
{
  const char *record;
  size_t length;

  if (!begins_with(chain, old_magic)) {
    if (*at > chain->length || chain->length - *at < ST_DIGEST_SIZE)
      return 1;
    memcpy(out, chain->data + *at, ST_DIGEST_SIZE);
    *at += ST_DIGEST_SIZE;
    return 0;
  }
  int r = st_chain_next(chain, *at, &record, &length, err);
  if (r == 0) {
    st_digest(out, record, length);
    *at += 4 + length;
  }
  return r;
}

int st_chain_each(struct st_catalog *c, st_chain_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_BUFFER chain = ST_BUFFER_INIT;
  uint8_t digest[ST_DIGEST_SIZE];
  int r = read_chain(c, &chain, err);

  if (r < 0 || !chain.length)
    return r;
  if (!begins_with(&chain, magic) && !begins_with(&chain, old_magic))
    return st_fail(err, 0, "chain: does not begin as a chain does");
  for (size_t at = MAGIC_SIZE; at < chain.length && r == 0;) {
    if ((r = next_digest(&chain, &at, digest, err)) != 0)
      return r;
    r = fn(arg, digest, err);
  }
  return r;
}

/* ---- Headers --------------------------------------------------------------------------------- */

static void take_column(sqlite3_stmt *s, int at, uint8_t *out, size_t length)
{
  if ((size_t)sqlite3_column_bytes(s, at) == length)
    memcpy(out, sqlite3_column_blob(s, at), length);
  else if (sqlite3_column_type(s, at) != SQLITE_NULL)
    memset(out, 0, length); /* the signature will not fit */
}

int st_header_before(struct st_catalog *c, int64_t number, struct st_header *ret,
                     struct st_error *err)
{
  ST_AUTO_STATEMENT *s =
      st_sql_prepare(c,
                     "SELECT (SELECT header_digest FROM checkpoint WHERE number = ?1 - 1),"
                     " (SELECT declarations FROM checkpoint WHERE number < ?1"
                     " AND declarations IS NOT NULL ORDER BY number DESC LIMIT 1),"
                     " (SELECT public_key FROM checkpoint WHERE number < ?1"
                     " AND public_key IS NOT NULL ORDER BY number LIMIT 1)",
                     err);

  *ret = (struct st_header){0};
  sqlite3_bind_int64(s, 1, number);
  if (!s || st_sql_step(c, s, err) < 0)
    return -1;
  take_column(s, 0, ret->digest, ST_DIGEST_SIZE);
  take_column(s, 1, ret->declarations, ST_DIGEST_SIZE);
  take_column(s, 2, ret->public_key, ST_PUBLIC_KEY_SIZE);
  return 0;
}

/* `h` is that of the checkpoint before, and becomes this one's. */
static void read_parts(struct st_header *h, sqlite3_stmt *s)
{
  memcpy(h->previous, h->digest, ST_DIGEST_SIZE);
  h->number = sqlite3_column_int64(s, 0);
  h->time = sqlite3_column_int64(s, 1);
  h->epoch = sqlite3_column_int64(s, 2);
  h->message =
      sqlite3_column_type(s, 3) == SQLITE_NULL ? NULL : (const char *)sqlite3_column_text(s, 3);
  h->message_length = h->message ? (size_t)sqlite3_column_bytes(s, 3) : 0;
  h->incomplete = sqlite3_column_int(s, 4) != 0;
  take_column(s, 5, h->state_root, ST_DIGEST_SIZE);
  take_column(s, 6, h->digest, ST_DIGEST_SIZE);
  take_column(s, 7, h->body, ST_DIGEST_SIZE);
  take_column(s, 8, h->signature, ST_SIGNATURE_SIZE);
  take_column(s, 9, h->declarations, ST_DIGEST_SIZE);
  take_column(s, 10, h->public_key, ST_PUBLIC_KEY_SIZE);
}

static int each_composed(struct st_catalog *c, int64_t after, st_header_fn *fn, void *arg,
                         struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(
      c,
      "SELECT number, time, epoch, message, incomplete, state_root, header_digest, body, signature,"
      " declarations, public_key FROM checkpoint WHERE number > ?1 ORDER BY number",
      err);
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_header h;
  int r = s ? st_header_before(c, after + 1, &h, err) : -1;

  sqlite3_bind_int64(s, 1, after);
  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    read_parts(&h, s);
    st_buffer_clear(&bytes);
    st_header_compose(&h, &bytes);
    r = fn(arg, h.number, bytes.data, bytes.length, err);
  }
  return r;
}

/* Of an older schema, where each has its bytes. */
static int each_stored(struct st_catalog *c, int64_t after, st_header_fn *fn, void *arg,
                       struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(
      c, "SELECT number, header FROM checkpoint WHERE number > ?1 ORDER BY number", err);
  int r = s ? 0 : -1;

  sqlite3_bind_int64(s, 1, after);
  while (r == 0 && (r = st_sql_step(c, s, err)) == 1)
    r = fn(arg, sqlite3_column_int64(s, 0), sqlite3_column_blob(s, 1),
           (size_t)sqlite3_column_bytes(s, 1), err);
  return r;
}

int st_headers_each(struct st_catalog *c, int64_t after, st_header_fn *fn, void *arg,
                    struct st_error *err)
{
  int64_t version;

  if (st_sql_number(c, "PRAGMA user_version", 0, &version, err) < 0)
    return -1;
  return version < ST_CATALOG_SCHEMA_PARTS ? each_stored(c, after, fn, arg, err)
                                           : each_composed(c, after, fn, arg, err);
}

static int append_header(void *arg, int64_t number, const void *data, size_t length,
                         struct st_error *err)
{
  (void)number, (void)err;
  st_buffer_append(arg, data, length);
  return 1; /* this one is all */
}

int st_changeset_header(struct st_catalog *c, int64_t number, struct st_buffer *out,
                        struct st_error *err)
{
  struct st_checkpoint cp;

  if (st_catalog_checkpoint(c, number, &cp, err) < 0)
    return -1;
  st_checkpoint_clear(&cp);
  return st_headers_each(c, number - 1, append_header, out, err) < 0 ? -1 : 0;
}

/* ---- Completed ------------------------------------------------------------------------------- */

struct completion {
  const struct st_buffer *chain;
  size_t at;             /* how far the file is as it should be */
  bool torn;             /* it ends there, or within a record */
  bool anew;             /* it is of the version before: all of it is written */
  struct st_buffer more; /* what it lacks */
};

static int differs(int64_t number, struct st_error *err)
{
  return st_fail(err, 0, "chain: its record %lld is not checkpoint %lld of the catalog",
                 (long long)number, (long long)number);
}

static int complete_one(struct completion *k, int64_t number, const uint8_t digest[ST_DIGEST_SIZE],
                        struct st_error *err)
{
  uint8_t there[ST_DIGEST_SIZE];

  if (!k->torn) {
    int r = next_digest(k->chain, &k->at, there, err);
    if (r < 0 || (r == 0 && memcmp(there, digest, ST_DIGEST_SIZE) != 0))
      return differs(number, err);
    k->torn = r > 0;
  }
  if (k->torn || k->anew)
    st_buffer_append(&k->more, digest, ST_DIGEST_SIZE);
  return 0;
}

static int complete_all(struct st_catalog *c, struct completion *k, struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(
      c, "SELECT number, header_digest FROM checkpoint WHERE number > ?1 ORDER BY number", err);
  int r = s ? 0 : -1;

  sqlite3_bind_int64(s, 1, c->chain_number);
  while (r == 0 && (r = st_sql_step(c, s, err)) == 1) {
    int64_t number = sqlite3_column_int64(s, 0);
    if (sqlite3_column_bytes(s, 1) != ST_DIGEST_SIZE)
      return st_fail(err, 0, "catalog: the header of checkpoint %lld is damaged",
                     (long long)number);
    r = complete_one(k, number, sqlite3_column_blob(s, 1), err);
  }
  return r;
}

/* Cuts the torn end off and appends what is missing, durably. */
static int write_rest(struct st_catalog *c, const struct completion *k, struct st_error *err)
{
  ST_AUTO_CLOSE int fd = openat(c->dir, "chain", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

  if (fd < 0)
    return st_fail(err, errno, "cannot write the chain");
  if (ftruncate(fd, (off_t)k->at) < 0 || lseek(fd, (off_t)k->at, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot write the chain");
  if (k->at == 0 && st_write_all(fd, magic, MAGIC_SIZE, err) < 0)
    return -1;
  if (st_write_all(fd, k->more.data, k->more.length, err) < 0)
    return -1;
  /* The folder has something new to it only when the file was made. */
  if (fdatasync(fd) < 0 || (k->at == 0 && fsync(c->dir) < 0))
    return st_fail(err, errno, "cannot sync the chain");
  return 0;
}

static int write_anew(struct st_catalog *c, struct completion *k, struct st_error *err)
{
  ST_AUTO_BUFFER whole = ST_BUFFER_INIT;

  st_buffer_append(&whole, magic, MAGIC_SIZE);
  st_buffer_append(&whole, k->more.data, k->more.length);
  k->at = 0; /* as of a file that was not there */
  return st_write_file(c->dir, "chain", 0600, whole.data, whole.length, err);
}

/* A file that ends within its first line has no record yet. */
static bool is_torn_magic(const struct st_buffer *chain)
{
  const char *const lines[] = {magic, old_magic};

  for (size_t i = 0; i < ST_COUNT(lines); i++)
    if (chain->length < MAGIC_SIZE &&
        (!chain->length || memcmp(chain->data, lines[i], chain->length) == 0))
      return true;
  return false;
}

static int complete(struct st_catalog *c, struct completion *k, struct st_error *err)
{
  uint8_t digest[ST_DIGEST_SIZE];

  if (k->torn) /* everything before is known to be as it should */
    k->at = (size_t)c->chain_length;
  else if (is_torn_magic(k->chain))
    k->torn = true;
  else if (!begins_with(k->chain, magic) && !begins_with(k->chain, old_magic))
    return st_fail(err, 0, "chain: does not begin as a chain does");
  else
    k->at = MAGIC_SIZE;
  k->anew = begins_with(k->chain, old_magic);
  if (complete_all(c, k, err) < 0)
    return -1;

  size_t at = k->at;
  if (!k->torn && at < k->chain->length && next_digest(k->chain, &at, digest, err) == 0)
    return st_fail(err, 0, "chain: has a checkpoint after the catalog's latest");
  if (k->anew)
    return write_anew(c, k, err);
  bool torn_end = !k->torn && k->at < k->chain->length;
  return k->more.length || torn_end ? write_rest(c, k, err) : 0;
}

/* Whether the file is as long as we left it: then only what came since is missing. */
static bool is_as_left(struct st_catalog *c)
{
  struct stat st;

  return c->chain_length && fstatat(c->dir, "chain", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         st.st_size == c->chain_length;
}

int st_chain_complete(struct st_catalog *c, struct st_error *err)
{
  ST_AUTO_BUFFER chain = ST_BUFFER_INIT;
  struct completion k = {.chain = &chain, .torn = is_as_left(c)};
  int r = 0;

  if (!k.torn) {
    c->chain_length = c->chain_number = 0;
    r = read_chain(c, &chain, err);
  }
  if (r == 0)
    r = complete(c, &k, err);
  if (r == 0) {
    c->chain_length = (int64_t)(k.at + k.more.length) + (k.at ? 0 : (int64_t)MAGIC_SIZE);
    c->chain_number = st_catalog_latest(c);
  }
  st_buffer_free(&k.more);
  if (r < 0)
    st_wrap(err, "%.*schain", (int)(strlen(c->name) - strlen("catalog.db")), c->name);
  return r;
}
