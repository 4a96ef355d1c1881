/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * changeset.h - signed headers, and the bodies that they vouch for, as read from anywhere: our own
 * chain, or bytes of a stranger.  Formats: doc/formats.
 */
#ifndef ST_CATALOG_CHANGESET_H
#define ST_CATALOG_CHANGESET_H

#include "systracker/base/cbor.h"
#include "systracker/catalog/catalog.h"

#define ST_HEADER_FORMAT "systracker-checkpoint"
#define ST_HEADER_VERSION 1
#define ST_HEADER_MAX 65536 /* bytes of a header with its signature */

struct st_header {
  uint8_t public_key[ST_PUBLIC_KEY_SIZE];
  int64_t epoch, number, time;
  uint8_t previous[ST_DIGEST_SIZE]; /* digest of the header before, zeros for the first */
  uint8_t body[ST_DIGEST_SIZE];     /* digest of the uncompressed body */
  uint8_t declarations[ST_DIGEST_SIZE];
  uint8_t state_root[ST_DIGEST_SIZE];
  bool incomplete;
  const char *message; /* NULL: none; borrowed from the bytes, not terminated */
  size_t message_length;
  uint8_t signature[ST_SIGNATURE_SIZE];
  uint8_t digest[ST_DIGEST_SIZE]; /* of the header with its signature: what the next one names */
};

/* Appends the header's bytes and its signature, which is made; sets it and `digest`. */
int st_header_write(struct st_header *h, const struct st_keys *keys, struct st_buffer *out,
                    struct st_error *err);
/* Appends the same bytes again, of what is known of it; `digest` is not used. */
void st_header_compose(const struct st_header *h, struct st_buffer *out);
/* Reads a header that was proved before. */
int st_header_parse(struct st_header *h, const void *data, size_t length, struct st_error *err);
/* Reads a header with its signature behind it, and proves the signature by the header's own key:
 * whose key that is, is the caller's to check. */
int st_header_read(struct st_header *h, const void *data, size_t length, struct st_error *err);
/* Whether `h` may stand after `previous` (NULL: nothing) in one chain. */
int st_header_follows(const struct st_header *h, const struct st_header *previous,
                      struct st_error *err);

/* One row of a body. */
struct st_body_row {
  const struct st_catalog_table *table;
  bool begun;  /* false: the fact of this key ended; there is nothing but the key */
  bool absent; /* of a begun one: it is not there though expected */
  const struct st_value *values; /* whole row; borrowed from the bytes */
};

/* The table of this name, or NULL. */
typedef const struct st_catalog_table *st_body_table_fn(void *arg, const char *name);
typedef int st_body_fn(void *arg, const struct st_body_row *row, struct st_error *err);

/* Reads a body row by row.  Any bytes may be given: what is malformed, unknown, or not in the one
 * canonical order is an error, and nothing is allocated by what they claim. */
int st_body_read(const void *data, size_t length, st_body_table_fn *table, st_body_fn *fn,
                 void *arg, struct st_error *err);

/* A checkpoint on its way from one catalog of its host to another. */
struct st_changeset {
  struct st_buffer header; /* with its signature */
  struct st_buffer declarations, body;
  struct st_buffer between; /* headers of checkpoints that are passed over (snapshot.c) */
  int64_t since; /* where some are, the body tells what changed since; 0: it is a snapshot */
  bool proved;   /* the caller has proved the header's signature: it is not done again */
};
void st_changeset_clear(struct st_changeset *set);
#define ST_AUTO_CHANGESET ST_CLEANUP(st_changeset_clear) struct st_changeset
int st_changeset_read(struct st_catalog *c, int64_t number, struct st_changeset *ret,
                      struct st_error *err);

/* The same for a catalog whose latest checkpoint is `after` (0: it has none), where that is not the
 * one before, or its facts are not here: what changed since, or, where that cannot be told any
 * more, all facts at `number`; and the headers between.  (From `after` = 0 on: a snapshot.) */
int st_changeset_read_after(struct st_catalog *c, int64_t after, int64_t number,
                            struct st_changeset *ret, struct st_error *err);

/* Takes a checkpoint after the latest one into a catalog that was opened to write: signed by the
 * key that the host's folder is named after, linked to the chain's head, with declarations and
 * state root proved, and its body where that is what was signed (nothing is passed over, or the
 * root has to do); or it is refused and nothing has changed.  Objects that it names have to be
 * durable before.  Tables that were asked for before this are not valid after it. */
int st_catalog_apply(struct st_catalog *c, const struct st_changeset *set, struct st_error *err);
/* The same, where `check` is shown every row of the body before it is taken, and NULL at their end:
 * a negative number refuses the checkpoint.  Where a failure is not that of the changeset, but of
 * the disk or the catalog, the error has a code. */
int st_catalog_apply_checked(struct st_catalog *c, const struct st_changeset *set,
                             st_body_fn *check, void *arg, struct st_error *err);

/* The declarations in effect at a checkpoint, as CBOR: what a header's `declarations` is the digest
 * of. */
int st_changeset_declarations(struct st_catalog *c, int64_t number, struct st_buffer *out,
                              struct st_error *err);

#endif
