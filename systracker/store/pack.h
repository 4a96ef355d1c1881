/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pack.h - packs/NNNNNNNN.pack: append-only files of records that describe themselves.
 *
 * Format, version 3 (in version 2 there are no groups, in version 1 no lists of chunks either). All
 * numbers are little-endian.
 *
 *   Pack     header, header again, record...
 *            The header is there twice (bytes 0-31 and 32-63), so that one flipped bit does not
 *            make all records unprovable.
 *   Header   0  8  "STpack\r\n"
 *            8  4  version: 3
 *           12 16  identity: random bytes
 *           28  4  CRC-32C of bytes 0-27
 *   Record   0  2  "ST"
 *            2  1  bits 0-2 encoding: 0 raw, 1 zstd, 2 zstd with the base as prefix
 *                  3 list of chunks (4 zstd with a dictionary: reserved)
 *                  5 group, 6 part of a group;
 *                  bit 3 kind of id: 0 SHA-256, 1 HMAC, of a secret; bits 4-7 version: 1
 *            3  .  raw length, at most 2^30, of a list 2^48: LEB128, shortest form
 *            .  .  stored length of the payload, at most the raw one (a secret's: 36 more): LEB128
 *            . 32  id of the content; of a group, SHA-256 of its payload
 *           (.  1  step, 1 to 215        encodings 2 and 6 alone; 1 of a part
 *            .  4  base: the first bytes of its id, which is of the same kind)
 *            .  .  payload
 *            .  4  CRC-32C of the pack's identity followed by all of the record before this
 *
 * A zstd payload is the blocks of one frame (RFC 8878) without the frame's header, which would be
 * 28 b5 2f fd 00 and a window descriptor for any window that reaches over prefix and content: there
 * is no checksum, content size or dictionary id, as the id proves the content.  A delta of one
 * edited line is some 40 bytes, so that every byte of the head counts.
 *
 * A list of chunks (chunklist.h) stands for a content of 4 MiB and more, cut where chunker.h says:
 * a secret every 1 MiB, so that the places tell nothing of it.  The chunks are there before it.
 *
 * A secret's payload, and no other, is sealed after it was compressed (keys.h: key id 8, nonce 12,
 * ciphertext, tag 16); authenticated along are 35 bytes: kind of id, id, the record's byte 2, step
 * (0 without base).  A list is not sealed: it says no more than the heads of its chunks do.
 *
 * A group (group.h) is the zstd payload of small contents one behind the other, 1 MiB at most; no
 * content has its id.  A part says where in a group its content begins, LEB128, its base being the
 * group, which is there before it.  No secret is in a group.
 *
 * Four bytes name a base well enough: a delta is only made where one object's id begins so, what
 * comes to the store later lies behind the delta and is tried later, and the content proves the
 * choice.
 *
 * The identity in the CRC makes records provable only in their own pack: bytes of some tracked file
 * that look like records are never taken for ours.
 *
 * Deltas (delta.h): the record of step n has a base of a lower step, so that a chain neither loops
 * nor is longer than 15 deltas.  An object may have several records, after damage; the last counts.
 *
 * A record that a killed writer did not finish is cut off by the next one; any other damage stays
 * in place, and reading goes on at the next record that its CRC proves.
 */
#ifndef ST_STORE_PACK_H
#define ST_STORE_PACK_H

#include "systracker/store/record.h"

#define ST_PACK_VERSION 3 /* an older pack is not appended to */
#define ST_PACK_HEADER_SIZE 64
#define ST_PACK_IDENTITY_SIZE 16
#define ST_PACK_NAME_SIZE 16
/* A pack that has reached this many bytes is not appended to. */
#define ST_PACK_FULL (512ULL << 20)

struct st_pack {
  uint32_t number;
  char name[ST_PACK_NAME_SIZE]; /* "00000001.pack" */
  int fd;
  bool flawed;   /* a copy of the header is damaged */
  bool provable; /* the identity is known: from the header, or from who knew it before */
  uint8_t identity[ST_PACK_IDENTITY_SIZE];
  uint32_t version; /* of the format; 0: no header says it */
  uint32_t seed;    /* CRC of the identity */
  uint64_t size;    /* bytes on disk when last looked */
};

void st_pack_name(char out[ST_PACK_NAME_SIZE], uint32_t number);
/* The number of a pack's file name; 0: it is none. */
uint32_t st_pack_number(const char *name);

/* Opens a pack.  A header that is damaged is no error here.  -ENOENT when it is not there. */
int st_pack_open(struct st_pack **ret, int dirfd, uint32_t number, bool write,
                 struct st_error *err);
/* Makes one, durably, with its header; an existing file is an error. */
int st_pack_create(struct st_pack **ret, int dirfd, uint32_t number, struct st_error *err);
void st_pack_close(struct st_pack *pack);
ST_DEFINE_CLEANUP(struct st_pack *, st_pack_close)
int st_pack_refresh(struct st_pack *pack, struct st_error *err); /* looks at the size again */
/* Where the header is lost, but the identity is known from elsewhere. */
void st_pack_identify(struct st_pack *pack, const uint8_t identity[ST_PACK_IDENTITY_SIZE]);

/* The CRC of a record in this pack: everything before its last four bytes. */
uint32_t st_pack_crc(const struct st_pack *pack, const void *data, size_t length);
/* Proves a whole record that was read: what it says and its CRC. */
int st_pack_prove(const struct st_pack *pack, const void *data, size_t length,
                  struct st_record *ret, struct st_error *err);

/* Reads the record at an offset whose payload is `stored` bytes, appending all of it to `out`. */
int st_pack_read(struct st_pack *pack, uint64_t offset, uint64_t stored, struct st_buffer *out,
                 struct st_error *err);

/* What is met by st_pack_scan; a callback ends it by a negative number.  A gap is a range of bytes
 * that are no records; `torn` when it runs to the end of the file and begins as a record does that
 * goes beyond it (or is shorter than any). */
struct st_pack_visitor {
  int (*record)(void *arg, const struct st_record *record, uint64_t offset, struct st_error *err);
  int (*gap)(void *arg, uint64_t from, uint64_t to, bool torn, struct st_error *err);
  void *arg;
};

/* Reads every record from the offset (0: the first one) to the end of the file as it is now. */
int st_pack_scan(struct st_pack *pack, uint64_t from, const struct st_pack_visitor *visitor,
                 struct st_error *err);

#endif
