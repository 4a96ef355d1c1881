/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

/* object.c - one object: from record to content. */
#include <string.h>

#include "systracker/base/escape.h"
#include "systracker/base/log.h"
#include "systracker/store/internal.h"

/* Deltas that one read may decode.  A chain has 15 at most; the rest is for bases whose ids begin
 * alike, which somebody would have to make on purpose. */
#define READS_MAX 64
#define CANDIDATES_MAX 4

/* ---- Reading ----------------------------------------------------------------------------------
 */

/* One reading of an object and its chain. */
struct reading {
  struct st_store *store;
  struct st_zstd *zstd;
  st_piece_fn *piece; /* takes a list's chunks one by one; NULL: they are appended */
  void *arg;
  unsigned left; /* records that it may still read */
  bool sparing;  /* a reader's: only the content itself is proved, which proves all it is made of */
  /* What the object is made of is not proved, and may come from what was decoded lately: that it
   * was right is proved along with the object.  What is wrong with one that cannot be proved is
   * then looked for without. */
  bool lightly;
  bool together; /* nor is the content itself: who reads several proves them at once */
  bool in_list;  /* what is read is a chunk of a list */
  bool ours;     /* the payload lies behind its record's head, in memory that may be written to */
};

static enum st_read read_row(struct reading *g, const struct st_object_row *row, unsigned depth,
                             struct st_buffer *out, struct st_error *err);

static enum st_read damaged(struct st_error *err, const char *why)
{
  st_fail(err, 0, "%s", why);
  return ST_READ_DAMAGED;
}

static enum st_read locked(struct st_error *err, const char *why)
{
  st_fail(err, 0, "%s", why);
  return ST_READ_LOCKED;
}

/* "object ID of pack NAME at OFFSET"; a secret's id is never shown. */
static void wrap_place(const struct st_object_row *row, struct st_error *err)
{
  char hex[2 * ST_DIGEST_SIZE + 1] = "(secret)", name[ST_PACK_NAME_SIZE];
  if (!row->record.id.keyed)
    st_hex(hex, row->record.id.digest, ST_DIGEST_SIZE);
  st_pack_name(name, row->pack);
  st_wrap(err, "object %s of pack %s at %llu", hex, name, (unsigned long long)row->offset);
}

void st_store_read_with(struct st_store *store, const struct st_keys *also)
{
  store->also = also;
}

static bool proves_with(const struct st_keys *keys, const struct st_id *id, const char *data,
                        size_t n)
{
  struct st_id is;
  if (id->keyed && !keys)
    return false;
  st_id_of(&is, id->keyed ? keys->id_key : NULL, data, n);
  return st_id_equal(&is, id);
}

/* Whether the last bytes of a buffer are the content of an id; a secret's needs one of our keys. */
static bool proves(const struct st_store *store, const struct st_id *id,
                   const struct st_buffer *content, size_t start, size_t n)
{
  const char *data = n > 0 ? content->data + start : "";
  return proves_with(store->keys, id, data, n) ||
         (id->keyed && proves_with(store->also, id, data, n));
}

/* Whether what was decoded may be relied on. */
static bool holds(const struct reading *g, const struct st_record *record, unsigned depth,
                  const struct st_buffer *content, size_t start)
{
  return (g->lightly && (depth > 0 || g->in_list || g->together)) ||
         proves(g->store, &record->id, content, start, record->raw);
}

/* The key that sealed the payload, if we have it. */
static const struct st_keys *key_of(const struct st_store *store, const char *payload)
{
  const struct st_keys *const have[] = {store->keys, store->also};
  for (size_t i = 0; i < ST_COUNT(have); i++) {
    if (have[i] && memcmp(payload, have[i]->seal_id, sizeof have[i]->seal_id) == 0)
      return have[i];
  }
  return NULL;
}

static enum st_read unseal(const struct st_store *store, const struct st_record *record,
                           const char *payload, struct st_buffer *out, struct st_error *err)
{
  uint8_t aad[ST_RECORD_AAD_SIZE];
  const struct st_keys *keys = key_of(store, payload);
  if (!store->keys && !keys)
    return locked(err, "it is a secret, and there is no key");
  if (!keys)
    return locked(err, "it is a secret of another key");
  st_record_aad(aad, record);
  return st_unseal(keys, aad, sizeof aad, payload, record->stored, out, err) < 0 ? ST_READ_DAMAGED
                                                                                 : ST_READ_OK;
}

/* What depends on nothing else. */
static int decompress(struct reading *g, const struct st_record *record, const char *payload,
                      size_t length, struct st_buffer *out, struct st_error *err)
{
  return g->ours ? st_zstd_decode_there(g->zstd, (char *)payload, length, record->raw, out, err)
                 : st_zstd_decode(g->zstd, payload, length, NULL, record->raw, out, err);
}

static enum st_read decode_whole(struct reading *g, const struct st_record *record, unsigned depth,
                                 const char *payload, size_t length, struct st_buffer *out,
                                 struct st_error *err)
{
  size_t start = out->length;
  if (record->encoding == ST_ENCODING_RAW) {
    if (length != record->raw)
      return damaged(err, "its length is wrong");
    if (length > 0)
      st_buffer_append(out, payload, length);
  } else if (decompress(g, record, payload, length, out, err) < 0) {
    return ST_READ_DAMAGED;
  }
  if (holds(g, record, depth, out, start))
    return ST_READ_OK;
  return damaged(err, "its content is not what its id says");
}

/* The content of a delta's base. */
static enum st_read read_base(struct reading *g, const struct st_object_row *base, unsigned depth,
                              struct st_buffer *out, struct st_error *err)
{
  if (g->lightly && st_bases_take(g->store, &base->record.id, out))
    return ST_READ_OK;
  enum st_read r = read_row(g, base, depth, out, err);
  if (r != ST_READ_OK)
    st_wrap(err, "its base");
  return r;
}

static enum st_read decode_on(struct reading *g, const struct st_record *record,
                              const struct st_object_row *base, unsigned depth, const char *payload,
                              size_t length, struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_BUFFER prefix = ST_BUFFER_INIT;
  size_t start = out->length;
  if (!st_record_may_be_based(record, &base->record) || depth >= ST_DELTA_DEPTH_MAX)
    return damaged(err, "its base is no earlier step");
  enum st_read r = read_base(g, base, depth + 1, &prefix, err);
  if (r != ST_READ_OK)
    return r;
  if (st_zstd_decode(g->zstd, payload, length, &prefix, record->raw, out, err) < 0)
    return ST_READ_DAMAGED;
  if (!holds(g, record, depth, out, start))
    return damaged(err, "its content is not what its id says");
  if (g->lightly)
    st_bases_keep(g->store, &base->record.id, &prefix);
  return ST_READ_OK;
}

/* A base is named by the first bytes of its id: the content proves which one it is. */
static enum st_read decode_delta(struct reading *g, const struct st_object_row *row,
                                 const struct st_record *record, unsigned depth,
                                 const char *payload, size_t length, struct st_buffer *out,
                                 struct st_error *err)
{
  struct st_object_row bases[CANDIDATES_MAX];
  size_t start = out->length;
  int n =
      st_store_find_base(g->store, record->id.keyed, record->base, row, bases, CANDIDATES_MAX, err);
  if (n < 0)
    return ST_READ_LOCKED;
  enum st_read r = n == 0 ? damaged(err, "its base is missing") : ST_READ_DAMAGED;
  for (int i = 0; i < n && r != ST_READ_OK; i++) {
    out->length = start;
    r = decode_on(g, record, &bases[i], depth, payload, length, out, err);
  }
  return r;
}

/* ---- Groups -----------------------------------------------------------------------------------
 */

static bool proves_group(const struct st_record *record, const char *payload)
{
  uint8_t digest[ST_DIGEST_SIZE];
  st_digest(digest, payload, record->stored);
  return memcmp(digest, record->id.digest, sizeof digest) == 0;
}

static enum st_read decode_group(struct reading *g, const struct st_record *record, unsigned depth,
                                 const char *payload, struct st_buffer *out, struct st_error *err)
{
  bool part_proves = depth > 0 && (g->sparing || g->lightly);
  if (record->id.keyed || !(part_proves || proves_group(record, payload)))
    return damaged(err, "it is not what its id says");
  return decompress(g, record, payload, record->stored, out, err) < 0 ? ST_READ_DAMAGED
                                                                      : ST_READ_OK;
}

static enum st_read decode_part_of(struct reading *g, const struct st_record *record,
                                   unsigned depth, const struct st_object_row *group,
                                   uint64_t offset, struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  size_t start = out->length;
  if (!st_record_may_be_based(record, &group->record))
    return damaged(err, "its group is none");
  enum st_read r = read_row(g, group, depth + 1, &content, err);
  if (r != ST_READ_OK) {
    st_wrap(err, "its group");
    return r;
  }
  if (offset > content.length || record->raw > content.length - offset)
    return damaged(err, "its group ends before it");
  st_buffer_append(out, content.data + offset, record->raw);
  if (!holds(g, record, depth, out, start))
    return damaged(err, "its content is not what its id says");
  st_decoded_keep(g->store, &group->record.id, &content);
  return ST_READ_OK;
}

/* As a base, a group is named by the first bytes of its id. */
static enum st_read decode_part(struct reading *g, const struct st_object_row *row,
                                const struct st_record *record, unsigned depth, const char *payload,
                                struct st_buffer *out, struct st_error *err)
{
  struct st_object_row groups[CANDIDATES_MAX];
  size_t start = out->length;
  uint64_t offset;
  if (st_number_decode((const uint8_t *)payload, record->stored, &offset) != (int)record->stored)
    return damaged(err, "it does not say where it begins");
  if (st_decoded_take(g->store, record->base, offset, record->raw, out) &&
      holds(g, record, depth, out, start))
    return ST_READ_OK;
  out->length = start;
  int n = st_store_find_base(g->store, record->id.keyed, record->base, row, groups, CANDIDATES_MAX,
                             err);
  if (n < 0)
    return ST_READ_LOCKED;
  enum st_read r = n == 0 ? damaged(err, "its group is missing") : ST_READ_DAMAGED;
  for (int i = 0; i < n && r != ST_READ_OK; i++) {
    out->length = start;
    r = decode_part_of(g, record, depth, &groups[i], offset, out, err);
  }
  return r;
}

/* ---- Lists of chunks --------------------------------------------------------------------------
 */

/* Digests of one content under the keys that may have made its id. */
struct proof {
  struct st_digester *with[2];
};

static void proof_begin(struct proof *p, const struct st_store *store, uint8_t keyed)
{
  const struct st_keys *const keys[] = {store->keys, store->also};
  for (size_t i = 0; i < ST_COUNT(p->with); i++)
    if (keyed ? keys[i] != NULL : i == 0)
      p->with[i] = st_digester_new(keyed ? keys[i]->id_key : NULL);
}

static void proof_add(struct proof *p, const void *data, size_t n)
{
  for (size_t i = 0; i < ST_COUNT(p->with); i++)
    if (p->with[i])
      st_digester_add(p->with[i], data, n);
}

static bool proof_is(struct proof *p, const struct st_id *id)
{
  uint8_t digest[ST_DIGEST_SIZE];
  bool proved = false;
  for (size_t i = 0; i < ST_COUNT(p->with) && !proved; i++) {
    if (!p->with[i])
      continue;
    st_digester_final(p->with[i], digest);
    proved = memcmp(digest, id->digest, sizeof digest) == 0;
  }
  return proved;
}

static void proof_free(struct proof *p)
{
  for (size_t i = 0; i < ST_COUNT(p->with); i++)
    if (p->with[i])
      st_digester_free(p->with[i]);
}

static enum st_read read_chunk_once(struct reading *g, const struct st_chunk *chunk,
                                    struct st_buffer *out, struct st_error *err)
{
  struct st_object_row row;
  int found = st_store_find(g->store, &chunk->id, &row, NULL, err);
  if (found < 0)
    return ST_READ_FAILED;
  if (found == 0)
    return damaged(err, "a chunk of it is missing");
  if (row.record.encoding == ST_ENCODING_LIST || row.record.raw != chunk->length)
    return damaged(err, "a chunk of it has another length");
  g->left = READS_MAX;
  g->in_list = true;
  enum st_read r = read_row(g, &row, 0, out, err);
  g->in_list = false;
  return r;
}

/* Under a reader a chunk may move to another pack, once. */
static enum st_read read_chunk(struct reading *g, const struct st_chunk *chunk,
                               struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_ERROR first = ST_ERROR_INIT;
  if (!g->store->write) {
    enum st_read r = read_chunk_once(g, chunk, out, &first);
    if (r == ST_READ_OK)
      return r;
  }
  return read_chunk_once(g, chunk, out, err);
}

/* What was appended to `content` last, as often as it is said to be there. */
static enum st_read hand_over(struct reading *g, struct proof *proof, uint64_t times,
                              struct st_buffer *content, size_t start, struct st_error *err)
{
  size_t length = content->length - start;
  for (uint64_t i = 0; i < times; i++) {
    proof_add(proof, content->data + start, length);
    if (g->piece && g->piece(g->arg, content->data + start, length, err) < 0)
      return ST_READ_FAILED;
    if (g->piece || i == 0)
      continue;
    st_buffer_reserve(content, length);
    st_buffer_append(content, content->data + start, length);
  }
  return ST_READ_OK;
}

static enum st_read read_chunks(struct reading *g, struct proof *proof,
                                const struct st_record *record, const char *list, size_t length,
                                struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_BUFFER piece = ST_BUFFER_INIT;
  struct st_buffer *content = g->piece ? &piece : out;
  struct st_chunk chunk;
  size_t at = 0;
  enum st_read r = ST_READ_OK;
  while (r == ST_READ_OK && st_chunklist_next(list, length, record->id.keyed, &at, &chunk) > 0) {
    piece.length = 0;
    size_t start = content->length;
    r = read_chunk(g, &chunk, content, err);
    if (r == ST_READ_OK)
      r = hand_over(g, proof, chunk.times, content, start, err);
  }
  if (record->id.keyed && piece.data)
    explicit_bzero(piece.data, piece.size);
  return r;
}

/* All that can be said of it without a key. */
static enum st_read look_for_chunks(struct reading *g, const struct st_record *record,
                                    const char *list, size_t length, struct st_error *err)
{
  struct st_object_row row;
  struct st_chunk chunk;
  bool intact;
  size_t at = 0;
  while (st_chunklist_next(list, length, record->id.keyed, &at, &chunk) > 0)
    if (st_store_find(g->store, &chunk.id, &row, &intact, NULL) <= 0 || !intact ||
        row.record.raw != chunk.length)
      return damaged(err, "a chunk of it is missing");
  return locked(err, "it is a secret, and there is no key");
}

static enum st_read decode_list(struct reading *g, const struct st_record *record, const char *list,
                                size_t length, struct st_buffer *out, struct st_error *err)
{
  struct proof proof = {0};
  if (!st_chunklist_fits(record, list, length))
    return damaged(err, "its list of chunks is malformed");
  if (!g->piece && record->raw > ST_RECORD_RAW_MAX)
    return locked(err, "it is too large to be held in memory");
  if (record->id.keyed && !g->store->keys && !g->store->also)
    return look_for_chunks(g, record, list, length, err);
  if (!g->together)
    proof_begin(&proof, g->store, record->id.keyed);
  if (!g->piece)
    st_buffer_reserve(out, record->raw);
  enum st_read r = read_chunks(g, &proof, record, list, length, out, err);
  if (r == ST_READ_OK && !g->together && !proof_is(&proof, &record->id))
    r = damaged(err, "its content is not what its id says");
  proof_free(&proof);
  return r;
}

/* ---- Records ----------------------------------------------------------------------------------
 */

static enum st_read decode(struct reading *g, const struct st_object_row *row,
                           const struct st_record *record, unsigned depth, const char *payload,
                           struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_BUFFER plain = ST_BUFFER_INIT;
  size_t length = record->stored;
  if (!st_encoding_is_known(record->encoding))
    return locked(err, "only a newer version of SysTracker can read it");
  if (record->encoding == ST_ENCODING_LIST)
    return decode_list(g, record, payload, length, out, err);
  if (record->encoding == ST_ENCODING_GROUP)
    return decode_group(g, record, depth, payload, out, err);
  if (record->encoding == ST_ENCODING_PART)
    return decode_part(g, row, record, depth, payload, out, err);
  if (record->id.keyed) {
    enum st_read r = unseal(g->store, record, payload, &plain, err);
    if (r != ST_READ_OK)
      return r;
    payload = plain.data;
    length = plain.length;
    g->ours = false;
  }
  return record->has_base ? decode_delta(g, row, record, depth, payload, length, out, err)
                          : decode_whole(g, record, depth, payload, length, out, err);
}

static int fetch_ahead(struct st_store *store, const struct st_object_row *row,
                       struct st_record *ret, struct st_buffer *out, struct st_error *err)
{
  ST_HOLD_LOCK(store);
  return st_packs_read_ahead(&store->packs, row->pack, row->offset, &row->record, ret, out, err);
}

static int fetch(struct st_store *store, const struct st_object_row *row, struct st_record *ret,
                 struct st_buffer *out, struct st_error *err)
{
  ST_HOLD_LOCK(store);
  return st_packs_read(&store->packs, row->pack, row->offset, row->record.stored, ret, out, err);
}

static enum st_read read_record(struct reading *g, const struct st_object_row *row, unsigned depth,
                                struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_record record;
  if (g->left-- == 0) {
    g->left = 0;
    return damaged(err, "it has too many bases");
  }
  if ((g->sparing ? fetch_ahead : fetch)(g->store, row, &record, &bytes, err) < 0)
    return ST_READ_DAMAGED;
  if (!st_id_equal(&record.id, &row->record.id))
    return damaged(err, "another record is there");
  size_t head = bytes.length - ST_RECORD_CRC_SIZE - record.stored;
  g->ours = true;
  return decode(g, row, &record, depth, bytes.data + head, out, err);
}

/* Keeps the index right about what was met; that it cannot be written now loses nothing. */
static void note(struct st_store *store, const struct st_object_row *row, enum st_read r,
                 const struct st_error *err)
{
  if (!store->write || r == ST_READ_LOCKED || r == ST_READ_FAILED)
    return;
  ST_HOLD_LOCK(store);
  if (r == ST_READ_DAMAGED)
    st_object_index_mark(store->index, &row->record.id, st_error_text(err), NULL);
  else if (row->damaged)
    st_object_index_mark(store->index, &row->record.id, NULL, NULL);
}

static enum st_read read_row(struct reading *g, const struct st_object_row *row, unsigned depth,
                             struct st_buffer *out, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  size_t start = out->length;
  enum st_read r = read_record(g, row, depth, out, &why);
  if (!g->lightly)
    note(g->store, row, r, &why);
  if (r == ST_READ_OK)
    return r;
  out->length = start;
  if (out->data)
    out->data[start] = 0;
  if (r != ST_READ_FAILED)
    wrap_place(row, &why);
  st_error_move(err, &why);
  return r;
}

/* But of a list whose pieces are handed over as they come. */
static enum st_read read_lightly(struct reading *g, const struct st_object_row *row,
                                 struct st_buffer *out)
{
  size_t start = out->length;
  if (row->record.encoding == ST_ENCODING_LIST && g->piece)
    return ST_READ_DAMAGED;
  g->lightly = true;
  enum st_read r = read_row(g, row, 0, out, NULL);
  g->lightly = false;
  if (r == ST_READ_OK)
    note(g->store, row, r, NULL);
  if (r == ST_READ_OK && row->record.encoding == ST_ENCODING_DELTA)
    st_bases_copy(g->store, &row->record.id, out->data + start, out->length - start);
  return r;
}

static enum st_read read_all(struct reading *g, const struct st_object_row *row,
                             struct st_buffer *out, struct st_error *err)
{
  g->left = READS_MAX;
  g->zstd = st_store_take_zstd(g->store);
  enum st_read r = read_lightly(g, row, out);
  if (r != ST_READ_OK) {
    g->left = READS_MAX;
    r = read_row(g, row, 0, out, err);
  }
  st_store_give_zstd(g->store, g->zstd);
  return r;
}

enum st_read st_store_read_row(struct st_store *store, const struct st_object_row *row,
                               struct st_buffer *out, struct st_error *err)
{
  struct reading g = {.store = store};
  return read_all(&g, row, out, err);
}

static int pass(void *arg, const void *data, size_t n, struct st_error *err)
{
  (void)arg, (void)data, (void)n, (void)err;
  return 0;
}

enum st_read st_store_prove_row(struct st_store *store, const struct st_object_row *row,
                                struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  struct reading g = {.store = store, .piece = pass};
  enum st_read r = read_all(&g, row, &content, err);
  if (row->record.id.keyed && content.data)
    explicit_bzero(content.data, content.size);
  return r;
}

enum st_read st_store_prove(struct st_store *store, const struct st_record *record,
                            const char *payload, struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  struct reading g = {
      .store = store, .zstd = st_store_take_zstd(store), .piece = pass, .left = READS_MAX};
  enum st_read r = decode(&g, NULL, record, 0, payload, &content, err);
  st_store_give_zstd(store, g.zstd);
  if (record->id.keyed && content.data)
    explicit_bzero(content.data, content.size);
  return r;
}

int st_store_chunks(struct st_store *store, const struct st_object_row *row, struct st_buffer *out,
                    struct st_error *err)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_record record;
  if (row->record.encoding != ST_ENCODING_LIST)
    return 0;
  if (fetch(store, row, &record, &bytes, err) < 0)
    return -1;
  const char *list = bytes.data + bytes.length - ST_RECORD_CRC_SIZE - record.stored;
  if (!st_id_equal(&record.id, &row->record.id) || record.encoding != ST_ENCODING_LIST ||
      !st_chunklist_fits(&record, list, record.stored))
    return st_fail(err, 0, "a list of chunks is malformed");
  st_buffer_append(out, list, record.stored);
  return 0;
}

int st_store_fail_missing(const struct st_id *id, struct st_error *err)
{
  char hex[2 * ST_DIGEST_SIZE + 1] = "(secret)";
  if (!id->keyed)
    st_hex(hex, id->digest, ST_DIGEST_SIZE);
  st_fail(err, 0, "object %s is not in the store", hex);
  return -ENOENT;
}

static int find_and_read(struct reading *g, const struct st_id *id, struct st_buffer *out,
                         struct st_error *err)
{
  struct st_object_row row;
  int r = st_store_find(g->store, id, &row, NULL, err);
  if (r < 0)
    return r;
  if (r == 0)
    return st_store_fail_missing(id, err);
  return read_all(g, &row, out, err) == ST_READ_OK ? 0 : -1;
}

int st_store_get(struct st_store *store, const struct st_id *id, struct st_buffer *out,
                 struct st_error *err)
{
  ST_AUTO_ERROR first = ST_ERROR_INIT;
  struct reading g = {.store = store};
  if (store->write)
    return find_and_read(&g, id, out, err);
  if (find_and_read(&g, id, out, &first) == 0)
    return 0;
  /* While a reader looked, the record may have moved, and its old pack may be gone. */
  return find_and_read(&g, id, out, err);
}

/* ---- In pieces --------------------------------------------------------------------------------
 */

/* What a content is handed to. */
struct taking {
  st_piece_fn *fn;
  void *arg;
  bool any, refused; /* some of it was; not taken */
};

static int take(void *arg, const void *data, size_t n, struct st_error *err)
{
  struct taking *t = arg;
  t->any = true;
  int r = t->fn(t->arg, data, n, err);
  t->refused = r < 0;
  return r;
}

/* What was read at once, as it is no list. */
static int take_whole(struct reading *g, int r, const struct st_id *id, struct st_buffer *content,
                      struct st_error *err)
{
  if (r == 0 && content->length > 0)
    r = take(g->arg, content->data, content->length, err);
  if (id->keyed && content->data)
    explicit_bzero(content->data, content->size);
  return r;
}

static int take_all(struct reading *g, const struct st_id *id, struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  int r = find_and_read(g, id, &content, err);
  return take_whole(g, r, id, &content, err);
}

int st_store_get_to(struct st_store *store, const struct st_id *id, st_piece_fn *fn, void *arg,
                    struct st_error *err)
{
  ST_AUTO_ERROR first = ST_ERROR_INIT;
  struct taking taking = {.fn = fn, .arg = arg};
  struct reading g = {.store = store, .piece = take, .arg = &taking};
  if (store->write)
    return take_all(&g, id, err);
  int r = take_all(&g, id, &first);
  if (r == 0)
    return 0;
  if (!taking.any)
    return take_all(&g, id, err); /* as in st_store_get */
  st_error_move(err, &first);
  return r;
}

static struct st_object_row row_at(const struct st_id *id, const struct st_location *at)
{
  struct st_object_row row = {.pack = at->pack, .offset = at->offset};
  row.record = (struct st_record){
      .id = *id,
      .encoding = at->encoding,
      .has_base = st_encoding_has_base(at->encoding),
      .step = at->step,
      .raw = at->raw,
      .stored = at->stored,
  };
  memcpy(row.record.base, at->base, sizeof at->base);
  return row;
}

/* Once: what was handed over is not to come again. */
static int take_once(struct reading *g, const struct st_id *id, const struct st_location *at,
                     struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  const struct st_object_row row = row_at(id, at);
  g->left = READS_MAX;
  g->lightly = true;
  g->zstd = st_store_take_zstd(g->store);
  int r = read_row(g, &row, 0, &content, err) == ST_READ_OK ? 0 : -1;
  st_store_give_zstd(g->store, g->zstd);
  return take_whole(g, r, id, &content, err);
}

static int take_at(struct reading *g, const struct st_id *id, const struct st_location *at,
                   struct st_error *err)
{
  ST_AUTO_BUFFER content = ST_BUFFER_INIT;
  if (at->encoding == ST_ENCODING_LIST)
    return take_once(g, id, at, err);
  const struct st_object_row row = row_at(id, at);
  int r = read_all(g, &row, &content, err) == ST_READ_OK ? 0 : -1;
  return take_whole(g, r, id, &content, err);
}

/* What fails is read once more, each step of it proved: it may have moved, and if it is damaged it
 * is said where. */
int st_store_get_at(struct st_store *store, const struct st_id *id, const struct st_location *at,
                    st_piece_fn *fn, void *arg, struct st_error *err)
{
  ST_AUTO_ERROR first = ST_ERROR_INIT;
  struct taking taking = {.fn = fn, .arg = arg};
  struct reading g = {.store = store, .piece = take, .arg = &taking, .sparing = true};
  if (store->write || at->pack == 0)
    return st_store_get_to(store, id, fn, arg, err);
  if (take_at(&g, id, at, &first) == 0)
    return 0;
  if (!taking.any)
    return st_store_get_to(store, id, fn, arg, err);
  if (!taking.refused && st_store_get_to(store, id, pass, NULL, err) < 0)
    return -1;
  return st_error_move(err, &first);
}

int st_store_get_unproved(struct st_store *store, const struct st_id *id,
                          const struct st_location *at, st_piece_fn *fn, void *arg,
                          struct st_error *err)
{
  struct taking taking = {.fn = fn, .arg = arg};
  struct reading g = {
      .store = store, .piece = take, .arg = &taking, .sparing = true, .together = true};
  if (store->write || id->keyed || at->pack == 0)
    return st_store_get_to(store, id, fn, arg, err);
  return take_once(&g, id, at, err);
}

/* ---- Several at once --------------------------------------------------------------------------
 */

static bool may_be_together(const struct st_store *store, const struct st_asked *a)
{
  return !store->write && !a->id->keyed && a->at->pack != 0 && a->at->encoding != ST_ENCODING_LIST;
}

/* A group that was decoded into what is read: parts of it are not copied. */
struct opened {
  bool tried, there;
  const struct st_location *of; /* of one of its parts */
  size_t start, length;
};

static bool is_part_of(const struct st_location *a, const struct st_location *b)
{
  return a->encoding == ST_ENCODING_PART && b->encoding == ST_ENCODING_PART && a->pack == b->pack &&
         memcmp(a->base, b->base, sizeof a->base) == 0;
}

/* Bytes of the same group that are asked for one after the other. */
static uint64_t bytes_of_group(const struct st_asked *asked, size_t n)
{
  uint64_t bytes = 0;
  for (size_t i = 0; i < n && is_part_of(asked[0].at, asked[i].at); i++)
    bytes += asked[i].at->raw;
  return bytes;
}

/* Where half of it is asked for, or more: so what is read is at most twice as long. */
static void open_group(struct reading *g, const struct st_asked *asked, size_t n,
                       struct opened *ret, struct st_buffer *out)
{
  struct st_object_row groups[CANDIDATES_MAX];
  const struct st_object_row row = row_at(asked->id, asked->at);
  *ret = (struct opened){.tried = true, .of = asked->at, .start = out->length};
  if (st_store_find_base(g->store, row.record.id.keyed, row.record.base, &row, groups,
                         CANDIDATES_MAX, NULL) != 1 ||
      !st_record_may_be_based(&row.record, &groups[0].record) ||
      bytes_of_group(asked, n) < groups[0].record.raw / 2)
    return;
  g->left = READS_MAX;
  g->lightly = true;
  ret->there = read_row(g, &groups[0], 1, out, NULL) == ST_READ_OK;
  g->lightly = false;
  ret->length = out->length - ret->start;
}

static bool find_part(struct reading *g, const struct opened *o, struct st_asked *a)
{
  ST_AUTO_BUFFER bytes = ST_BUFFER_INIT;
  struct st_record record;
  uint64_t offset;
  const struct st_object_row row = row_at(a->id, a->at);
  if (fetch_ahead(g->store, &row, &record, &bytes, NULL) < 0 || !st_id_equal(&record.id, a->id) ||
      record.encoding != ST_ENCODING_PART)
    return false;
  const char *payload = bytes.data + bytes.length - ST_RECORD_CRC_SIZE - record.stored;
  if (st_number_decode((const uint8_t *)payload, record.stored, &offset) != (int)record.stored ||
      offset > o->length || record.raw > o->length - offset)
    return false;
  a->offset = o->start + offset;
  a->length = record.raw;
  return true;
}

/* The first of those that are left.  False: nothing is known of it. */
static bool read_together(struct reading *g, struct st_asked *a, size_t n, struct opened *o,
                          struct st_buffer *out)
{
  size_t start = out->length;
  if (!may_be_together(g->store, a))
    return false;
  if (a->at->encoding == ST_ENCODING_PART && !(o->tried && is_part_of(o->of, a->at))) {
    open_group(g, a, n, o, out);
    start = out->length;
  }
  if (o->there && is_part_of(o->of, a->at))
    return find_part(g, o, a);
  const struct st_object_row row = row_at(a->id, a->at);
  g->left = READS_MAX;
  if (read_lightly(g, &row, out) != ST_READ_OK)
    return false;
  a->offset = start;
  a->length = out->length - start;
  return true;
}

static void reserve_all(const struct st_asked *asked, size_t n, struct st_buffer *out)
{
  size_t all = 0;
  for (size_t i = 0; i < n; i++)
    if (__builtin_add_overflow(all, asked[i].at->raw, &all))
      return;
  if (all <= ST_TOGETHER_MAX)
    st_buffer_reserve(out, all);
}

void st_store_get_several(struct st_store *store, struct st_hashes *hashes, struct st_asked *asked,
                          size_t n, struct st_buffer *out)
{
  struct reading g = {
      .store = store, .zstd = st_store_take_zstd(store), .sparing = true, .together = true};
  ST_AUTO_FREE struct st_hash *hash = st_calloc(n + 1, sizeof *hash);
  ST_AUTO_FREE struct st_id *is = st_calloc(n + 1, sizeof *is);
  ST_AUTO_FREE size_t *which = st_calloc(n + 1, sizeof *which);
  struct opened opened = {0};
  size_t count = 0;
  reserve_all(asked, n, out);
  for (size_t i = 0; i < n; i++) {
    asked[i].proved = false;
    if (read_together(&g, &asked[i], n - i, &opened, out))
      which[count++] = i;
  }
  st_store_give_zstd(store, g.zstd);
  for (size_t k = 0; k < count; k++)
    hash[k] = (struct st_hash){out->data ? out->data + asked[which[k]].offset : NULL,
                               asked[which[k]].length, is[k].digest};
  st_hashes_compute(hashes, hash, count);
  for (size_t k = 0; k < count; k++)
    asked[which[k]].proved = st_id_equal(&is[k], asked[which[k]].id);
}
