/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h - objects: contents, each kept once, named by st_id.
 *
 * On disk: packs/NAME.pack, append-only records that describe themselves (pack.h), and
 * packs/objects.db, the index object -> pack and offset, which packs/ alone rebuild.  A large
 * content is cut into chunks (chunker.h), each an object, and is a list of them.
 * Order: put, put, ..., sync, and only then may a catalog commit that names them.
 *
 * Threads: st_store_prepare, _append, _put, _has, _length and _get may be called by any number of
 * threads at once; hashing, compressing, sealing and decoding hold no lock.  Everything else is
 * called while nothing else is under way.
 */
#ifndef ST_STORE_STORE_H
#define ST_STORE_STORE_H

#include "systracker/base/hashes.h"
#include "systracker/store/record.h"

struct st_store;

enum st_store_flags {
  ST_STORE_READ = 0,
  ST_STORE_WRITE = 1, /* the caller holds the store's lock; makes packs/ where it is missing */
};

/* Opens packs/ in the store's directory (descriptor borrowed for the call).  `keys` (borrowed, may
 * be NULL) are for secrets.  A writer first indexes records that a killed one left unindexed, and
 * cuts off a torn record at a pack's end; anything else that is not as it should be is an error. */
int st_store_open(struct st_store **ret, int dirfd, enum st_store_flags flags,
                  const struct st_keys *keys, struct st_error *err);
/* Another reader of the same store, with the same keys, for a thread of its own and a short while:
 * it holds the index as it is now (a writer's commit waits for its end), so that finding an object
 * costs no lock each time.  `dirfd` is the store's directory, borrowed for the call. */
int st_store_open_beside(struct st_store **ret, int dirfd, const struct st_store *other,
                         struct st_error *err);
void st_store_close(struct st_store *store);
ST_DEFINE_CLEANUP(struct st_store *, st_store_close)

/* Keeps some content, in chunks from 4 MiB on; does nothing where it is already there, intact.  A
 * secret is keyed and sealed.  `previous` (may be NULL): the revision before, for a delta.  Every
 * delta is decoded and compared before this returns. */
int st_store_put(struct st_store *store, const void *data, size_t length, bool secret,
                 const struct st_id *previous, struct st_id *ret, struct st_error *err);

/* The same in two steps, for several threads: most of the work is in the first, which compresses
 * and keeps nothing yet but a large content's chunks; the second only copies, and keeps the order
 * in which it is called. */
struct st_content {
  const void *data; /* borrowed for the call */
  size_t length;
  bool secret;
  const struct st_id *id;       /* of the content, where it was hashed before; NULL: not yet */
  const struct st_id *previous; /* the revision before, for a delta; may be NULL */
  bool chunk;                   /* never to be cut: it is a chunk */
  bool group; /* where it is small, it may wait to be kept along with others, until the next sync */
};
struct st_prepared {
  struct st_id id;
  bool known; /* it is there already, intact: nothing is to be appended */
  bool group; /* the payload is the content, for a group */
  struct st_record record;
  struct st_buffer payload;
};
int st_store_prepare(struct st_store *store, const struct st_content *content,
                     struct st_prepared *ret, struct st_error *err);
/* Does nothing where another thread has kept the same meanwhile. */
int st_store_append(struct st_store *store, const struct st_prepared *prepared,
                    struct st_error *err);
void st_prepared_clear(struct st_prepared *prepared);
#define ST_AUTO_PREPARED ST_CLEANUP(st_prepared_clear) struct st_prepared

/* A content of any length on its way in, piece by piece, in a few MiB of memory; used by one thread
 * at a time.  A large one's chunks are kept as they come (of one that is given up they stay, of no
 * use, until they are pruned); what counts as there is only what was finished. */
struct st_store_writer;
int st_store_writer_new(struct st_store_writer **ret, struct st_store *store, bool secret,
                        const struct st_id *previous, struct st_error *err);
int st_store_writer_add(struct st_store_writer *writer, const void *data, size_t n,
                        struct st_error *err);
int st_store_writer_finish(struct st_store_writer *writer, struct st_id *ret, struct st_error *err);
/* The rest of a file in one call; `*ret_length`: its bytes. */
int st_store_put_fd(struct st_store *store, int fd, bool secret, const struct st_id *previous,
                    struct st_id *ret, uint64_t *ret_length, struct st_error *err);
/* Bytes of content so far that were not there before. */
uint64_t st_store_writer_kept(const struct st_store_writer *writer);
void st_store_writer_free(struct st_store_writer *writer);
ST_DEFINE_CLEANUP(struct st_store_writer *, st_store_writer_free)

/* Reads secrets of another host's key too (borrowed; NULL: no more).  What is put stays ours. */
void st_store_read_with(struct st_store *store, const struct st_keys *also);

bool st_store_has(struct st_store *store, const struct st_id *id);
/* Bytes of the content, without reading it; -1 when it is not there. */
int64_t st_store_length(struct st_store *store, const struct st_id *id);

/* Appends the content, proved against its id.  Missing, damaged, or sealed with a key that we do
 * not have: an error that says which, and where. */
int st_store_get(struct st_store *store, const struct st_id *id, struct st_buffer *out,
                 struct st_error *err);

/* The same in pieces, so that no content is held in memory: a large one's chunks come one by one,
 * each proved against its own id, and the whole at the end.  So what was handed over is to be
 * thrown away when this fails, or when fn does (a negative number). */
typedef int st_piece_fn(void *arg, const void *data, size_t n, struct st_error *err);
int st_store_get_to(struct st_store *store, const struct st_id *id, st_piece_fn *fn, void *arg,
                    struct st_error *err);

/* Where a content lies.  Who reads many in the order of packs and offsets has each byte read, and
 * each group decoded, once. */
struct st_location {
  uint64_t offset, raw; /* raw: bytes of content */
  uint32_t pack;        /* 0: it is not there */
  uint32_t stored;
  uint8_t base[ST_RECORD_BASE_SIZE]; /* of a group's part: the same in all parts of the group */
  uint8_t encoding, step;
};
/* Of many at once, whose ids ascend (st_id_compare). */
int st_store_locate(struct st_store *store, const struct st_id *const *ids, size_t n,
                    struct st_location *ret, struct st_error *err);
/* As st_store_get_to, by a reader, of what lies there.  The content as a whole is proved against
 * its id, at the end, and nothing else on the way to it, but where that fails. */
int st_store_get_at(struct st_store *store, const struct st_id *id, const struct st_location *at,
                    st_piece_fn *fn, void *arg, struct st_error *err);

/* The same, but nothing is proved: who takes it does that with what became of it, and where that is
 * not what the id says, st_store_get_at says what is wrong. */
int st_store_get_unproved(struct st_store *store, const struct st_id *id,
                          const struct st_location *at, st_piece_fn *fn, void *arg,
                          struct st_error *err);

/* One of several contents. */
struct st_asked {
  const struct st_id *id;
  const struct st_location *at;
  size_t offset, length; /* out: where it lies in what was read */
  bool proved;           /* out; false: st_store_get_at has it all the same, or says why not */
};
/* As st_store_get_at, of small ones that are held in memory together (appended to `out`) and proved
 * at once, which is faster than one by one (base/hashes.h).  What is not proved may lie there, too.
 * Secrets, and contents in chunks, are left. */
#define ST_TOGETHER_MAX ((size_t)16 << 20) /* bytes that are made room for before */
void st_store_get_several(struct st_store *store, struct st_hashes *hashes, struct st_asked *asked,
                          size_t n, struct st_buffer *out);

/* Makes all that was put durable. */
int st_store_sync(struct st_store *store, struct st_error *err);
/* The same, but for the index of the objects while little is new: whoever opens the store finds in
 * the packs what that does not name yet.  For a store that no reader holds open for long. */
int st_store_sync_packs(struct st_store *store, struct st_error *err);

/* Sizes, for people. */
struct st_store_size {
  uint64_t objects, packs;
  uint64_t raw, stored; /* bytes */
};
int st_store_size(struct st_store *store, struct st_store_size *ret, struct st_error *err);

/* Reads every record of every pack and every object again.  Damage is passed to `found` (words,
 * escaped) and, by a writer, quarantined: the object counts as missing and its record is left in
 * place for study.  Returns the number of damaged objects and packs. */
int st_store_verify(struct st_store *store, void (*found)(void *arg, const char *words), void *arg,
                    struct st_error *err);

#endif
