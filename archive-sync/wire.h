/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wire.h - what goes over the wire between a host and the archive's server, coded and decoded; both
 * sides and the fuzz targets use it.  Formats: doc/formats.  All input may come from a stranger:
 * lengths are checked before anything is allocated by them.
 */
#ifndef ARCHIVE_SYNC_WIRE_H
#define ARCHIVE_SYNC_WIRE_H

#include "systracker/catalog/changeset.h"
#include "systracker/store/transfer.h"

#define ST_WIRE_PROTOCOL 1
#define ST_WIRE_CHECKPOINTS_MAX 1000000            /* of a host: one an hour for 114 years */
#define ST_WIRE_IDS_MAX 4096                       /* in one question */
#define ST_WIRE_RECORDS_MAX 65536                  /* in one request */
#define ST_WIRE_PACK_MAX ((uint64_t)64 << 20)      /* bytes of records in one request */
#define ST_WIRE_CHANGESET_MAX ((uint64_t)64 << 20) /* of a changeset as it travels */
#define ST_WIRE_BODY_MAX ((uint64_t)256 << 20)     /* of its uncompressed body */
#define ST_WIRE_DECLARATIONS_MAX ((size_t)1 << 20) /* bytes */
#define ST_WIRE_RAW_MAX ((uint64_t)64 << 20)       /* of an object that is no list of chunks */
#define ST_WIRE_LIST_RAW_MAX ((uint64_t)16 << 30)  /* of one that is */
#define ST_WIRE_WORK_MAX ((uint64_t)1 << 30)       /* of all records of a request but lists */

/* Ids in a row, ST_WIRE_ID_SIZE bytes each: 0 or 1 (keyed), 32 bytes. */
#define ST_WIRE_ID_SIZE 33
void st_wire_add_id(struct st_buffer *out, const struct st_id *id);
/* The n-th; `length` is a multiple of the size. */
int st_wire_id_at(const void *data, size_t length, size_t n, struct st_id *ret,
                  struct st_error *err);

/* Records in a row, each as a pack has it (pack.h): head, payload, checksum (which has no identity
 * of a pack before it).  No groups, and no parts of one: st_store_export_alone. */
int st_wire_add_parcel(struct st_buffer *out, const struct st_parcel *parcel, struct st_error *err);
/* Reads the next at `*at`, which is moved behind it; 1: one was read, 0: the end. */
int st_wire_parcel_at(const void *data, size_t length, size_t *at, struct st_parcel *ret,
                      struct st_error *err);
/* The same from a file at its offset. */
int st_wire_read_parcel(int fd, struct st_parcel *ret, struct st_error *err);

/* Bytes that proving the record decodes at most, bases included.  A server takes records of
 * ST_WIRE_WORK_MAX in one request (lists of chunks are not counted), and none whose content is
 * larger than ST_WIRE_RAW_MAX, of a list ST_WIRE_LIST_RAW_MAX. */
uint64_t st_wire_work(const struct st_record *record);
int st_wire_check_record(const struct st_record *record, struct st_error *err);

/* A checkpoint: CBOR array [1, header, declarations, between, since, zstd of the body]. */
int st_wire_add_changeset(struct st_buffer *out, const struct st_changeset *set,
                          struct st_error *err);
/* What is read may be larger than `length` by ST_WIRE_BODY_MAX. */
int st_wire_read_changeset(const void *data, size_t length, struct st_changeset *ret,
                           struct st_error *err);
/* Bytes of the body, before any of it is read; 0: it is malformed. */
uint64_t st_wire_changeset_body(const void *data, size_t length);

#endif
