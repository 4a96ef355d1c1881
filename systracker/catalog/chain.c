/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chain.c - the file `chain`: "SysTracker chain 1\n", then for each checkpoint the length of its
 * header without the signature (32 bits, little-endian), the header, the signature.
 *
 * The catalog commits first.  So after a kill the file lags behind, or ends within a record; the
 * next writer completes it.  Whatever else differs was not our doing, and is left for people.
 */
#include "systracker/catalog/internal.h"

#include <fcntl.h>

#include "systracker/base/file.h"

static const char magic[] = "SysTracker chain 1\n";
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

static bool has_magic(const struct st_buffer *chain)
{
  return chain->length >= MAGIC_SIZE && memcmp(chain->data, magic, MAGIC_SIZE) == 0;
}

int st_chain_each(struct st_catalog *c, st_chain_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_BUFFER chain = ST_BUFFER_INIT;
  const char *record;
  size_t length;
  int r = read_chain(c, &chain, err);

  if (r < 0 || !chain.length)
    return r;
  if (!has_magic(&chain))
    return st_fail(err, 0, "chain: does not begin as a chain does");
  for (size_t at = MAGIC_SIZE; at < chain.length && r == 0; at += 4 + length) {
    if ((r = st_chain_next(&chain, at, &record, &length, err)) != 0)
      return r;
    r = fn(arg, record, length, err);
  }
  return r;
}

int st_headers_each(struct st_catalog *c, int64_t after, st_header_fn *fn, void *arg,
                    struct st_error *err)
{
  ST_AUTO_STATEMENT *s = st_sql_prepare(
      c, "SELECT number, header FROM checkpoint WHERE number > ?1 ORDER BY number", err);
  int r = 0;

  if (!s)
    return -1;
  sqlite3_bind_int64(s, 1, after);
  while (r == 0 && (r = st_sql_step(c, s, err)) == 1)
    r = fn(arg, sqlite3_column_int64(s, 0), sqlite3_column_blob(s, 1),
           (size_t)sqlite3_column_bytes(s, 1), err);
  return r;
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
  struct st_buffer more; /* what it lacks */
};

static int differs(int64_t number, struct st_error *err)
{
  return st_fail(err, 0, "chain: its record %lld is not checkpoint %lld of the catalog",
                 (long long)number, (long long)number);
}

static int complete_one(void *arg, int64_t number, const void *data, size_t length,
                        struct st_error *err)
{
  struct completion *k = arg;
  const char *record;
  size_t record_length;

  if (length <= ST_SIGNATURE_SIZE || length > ST_HEADER_MAX)
    return st_fail(err, 0, "catalog: the header of checkpoint %lld is damaged", (long long)number);
  if (!k->torn) {
    int r = st_chain_next(k->chain, k->at, &record, &record_length, err);
    if (r < 0 || (r == 0 && (record_length != length || memcmp(record, data, length) != 0)))
      return differs(number, err);
    if (r == 0) {
      k->at += 4 + length;
      return 0;
    }
    k->torn = true;
  }
  st_chain_record(&k->more, data, length);
  return 0;
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

/* A file that ends within its first line has no record yet. */
static bool is_torn_magic(const struct st_buffer *chain)
{
  return chain->length < MAGIC_SIZE &&
         (!chain->length || memcmp(chain->data, magic, chain->length) == 0);
}

static int complete(struct st_catalog *c, struct completion *k, struct st_error *err)
{
  if (k->torn) /* everything before is known to be as it should */
    k->at = (size_t)c->chain_length;
  else if (is_torn_magic(k->chain))
    k->torn = true;
  else if (!has_magic(k->chain))
    return st_fail(err, 0, "chain: does not begin as a chain does");
  else
    k->at = MAGIC_SIZE;
  if (st_headers_each(c, c->chain_number, complete_one, k, err) < 0)
    return -1;

  const char *record;
  size_t length;
  if (!k->torn && k->at < k->chain->length &&
      st_chain_next(k->chain, k->at, &record, &length, err) == 0)
    return st_fail(err, 0, "chain: has a checkpoint after the catalog's latest");
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
