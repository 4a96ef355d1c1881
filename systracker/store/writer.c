/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

/* writer.c - a content on its way in, piece by piece; a large one in chunks. */
#include <string.h>
#include <unistd.h>

#include "systracker/store/internal.h"

#define PIECE (256U << 10)
#define HELD_MAX (2 * ST_CHUNK_MAX)
#define LOOK_AHEAD 64 /* chunks of the revision before among which one is looked for */

struct st_store_writer {
  struct st_store *store;
  bool secret, has_previous;
  struct st_id previous;
  struct st_digester *digester; /* of the whole; NULL: its id is known */
  struct st_buffer held;        /* not cut yet */
  uint64_t length, kept;
  struct st_buffer list;
  struct st_chunk last; /* not in the list yet; times 0: none */
  bool last_is_zero;
  struct st_buffer before; /* the list of the revision before, from `before_at` on */
  size_t before_at;
};

void st_store_writer_free(struct st_store_writer *w)
{
  if (w->digester)
    st_digester_free(w->digester);
  if (w->secret && w->held.data)
    explicit_bzero(w->held.data, w->held.size);
  st_buffer_free(&w->held);
  st_buffer_free(&w->list);
  st_buffer_free(&w->before);
  free(w);
}

uint64_t st_store_writer_kept(const struct st_store_writer *w)
{
  return w->kept;
}

/* Whatever is wrong with the list: the chunks are kept whole then. */
static void read_list_before(struct st_store_writer *w)
{
  struct st_object_row row;
  if (w->has_previous && st_store_find(w->store, &w->previous, &row, NULL, NULL) > 0)
    st_store_chunks(w->store, &row, &w->before, NULL);
}

static struct st_store_writer *make(struct st_store *store, bool secret,
                                    const struct st_id *previous)
{
  struct st_store_writer *w = st_calloc(1, sizeof *w);
  w->store = store;
  w->secret = secret;
  w->has_previous = previous && (previous->keyed == 1) == secret;
  if (w->has_previous)
    w->previous = *previous;
  return w;
}

int st_store_writer_new(struct st_store_writer **ret, struct st_store *store, bool secret,
                        const struct st_id *previous, struct st_error *err)
{
  struct st_content content = {.secret = secret};
  if (st_store_check_content(store, &content, err) < 0)
    return -1;
  *ret = make(store, secret, previous);
  (*ret)->digester = st_digester_new(secret ? store->keys->id_key : NULL);
  return 0;
}

/* ---- Chunks ------------------------------------------------------------------------------------
 */

/* Follows the list of the revision before: the chunk that the one at hand was made from, where it
 * is none of those that follow there. */
static bool find_chunk_before(struct st_store_writer *w, const struct st_id *id, struct st_id *ret)
{
  struct st_chunk chunk;
  size_t at = w->before_at, behind_first = w->before_at;
  for (int i = 0; i < LOOK_AHEAD; i++) {
    if (st_chunklist_next(w->before.data, w->before.length, w->secret, &at, &chunk) <= 0)
      break;
    if (st_id_equal(&chunk.id, id)) {
      w->before_at = at;
      return false;
    }
    if (i == 0) {
      *ret = chunk.id;
      behind_first = at;
    }
  }
  bool any = behind_first > w->before_at;
  w->before_at = behind_first;
  return any;
}

static int keep_chunk(struct st_store_writer *w, const char *data, size_t length, struct st_id *ret,
                      struct st_error *err)
{
  ST_AUTO_PREPARED prepared = {0};
  struct st_id before;
  st_id_of(ret, w->secret ? w->store->keys->id_key : NULL, data, length);
  bool based = find_chunk_before(w, ret, &before);
  struct st_content content = {.data = data,
                               .length = length,
                               .secret = w->secret,
                               .id = ret,
                               .previous = based ? &before : NULL,
                               .chunk = true};
  if (st_store_prepare(w->store, &content, &prepared, err) < 0)
    return -1;
  if (!prepared.known)
    w->kept += length;
  return st_store_append(w->store, &prepared, err);
}

static void list_last(struct st_store_writer *w)
{
  if (w->last.times > 0)
    st_chunklist_add(&w->list, &w->last);
  w->last.times = 0;
}

static bool is_zero(const char *data, size_t length)
{
  return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

static int add_chunk(struct st_store_writer *w, const char *data, size_t length,
                     struct st_error *err)
{
  struct st_id id;
  bool zero = is_zero(data, length);
  bool same = w->last.times > 0 && w->last.length == length;
  if (same && zero && w->last_is_zero) { /* a hole need not be hashed again and again */
    w->last.times++;
    return 0;
  }
  if (keep_chunk(w, data, length, &id, err) < 0)
    return -1;
  if (same && st_id_equal(&id, &w->last.id)) {
    w->last.times++;
    return 0;
  }
  list_last(w);
  w->last = (struct st_chunk){.id = id, .times = 1, .length = (uint32_t)length};
  w->last_is_zero = zero;
  return 0;
}

static size_t cut(const struct st_store_writer *w, const char *data, size_t length)
{
  if (!w->secret)
    return st_chunk_cut(data, length);
  return length < ST_CHUNK_AVERAGE ? length : ST_CHUNK_AVERAGE;
}

/* Cuts off and keeps what can be cut; returns how many bytes these are. */
static int64_t add_chunks(struct st_store_writer *w, const char *data, size_t length, bool last,
                          struct st_error *err)
{
  size_t at = 0;
  while (length - at >= ST_CHUNK_MAX || (last && at < length)) {
    size_t n = cut(w, data + at, length - at);
    if (add_chunk(w, data + at, n, err) < 0)
      return -1;
    at += n;
  }
  return (int64_t)at;
}

int st_store_writer_add(struct st_store_writer *w, const void *data, size_t n, struct st_error *err)
{
  if (n == 0)
    return 0;
  if (w->length > ST_RECORD_LIST_RAW_MAX - n)
    return st_fail(err, 0, "cannot keep more than %llu bytes as one object",
                   ST_RECORD_LIST_RAW_MAX);
  st_digester_add(w->digester, data, n);
  st_buffer_append(&w->held, data, n);
  w->length += n;
  if (w->held.length < HELD_MAX)
    return 0;
  if (w->length == w->held.length)
    read_list_before(w); /* now it is known to be a large one */
  int64_t used = add_chunks(w, w->held.data, w->held.length, false, err);
  if (used < 0)
    return -1;
  w->held.length -= (size_t)used;
  memmove(w->held.data, w->held.data + used, w->held.length);
  return 0;
}

/* The list as a record, all its chunks being there; nothing where it would be of one chunk. */
static int prepare_list(struct st_store_writer *w, const struct st_id *id, struct st_prepared *ret,
                        struct st_error *err)
{
  struct st_object_row row;
  bool single = w->list.length == 0 && w->last.times == 1;
  list_last(w);
  *ret = (struct st_prepared){.id = *id, .known = single};
  if (single)
    return 0;
  if (w->list.length > ST_RECORD_RAW_MAX)
    return st_fail(err, 0, "cannot keep %llu bytes as one object: they have too many chunks",
                   (unsigned long long)w->length);
  if (st_store_find(w->store, id, &row, &ret->known, err) < 0)
    return -1;
  ret->record = (struct st_record){
      .id = *id, .encoding = ST_ENCODING_LIST, .raw = w->length, .stored = w->list.length};
  ret->payload = w->list;
  w->list = ST_BUFFER_INIT;
  return 0;
}

int st_store_prepare_chunks(struct st_store *store, const struct st_content *content,
                            struct st_prepared *ret, struct st_error *err)
{
  struct st_id id = ret->id;
  ST_CLEANUP(st_store_writer_freep)
  struct st_store_writer *w = make(store, content->secret, content->previous);
  read_list_before(w);
  w->length = content->length;
  if (add_chunks(w, content->data, content->length, true, err) < 0)
    return -1;
  return prepare_list(w, &id, ret, err);
}

static int prepare_rest(struct st_store_writer *w, const struct st_id *id, struct st_prepared *ret,
                        struct st_error *err)
{
  struct st_content content = {.data = w->held.data,
                               .length = w->held.length,
                               .secret = w->secret,
                               .id = id,
                               .previous = w->has_previous ? &w->previous : NULL};
  if (w->length == w->held.length)
    return st_store_prepare(w->store, &content, ret, err);
  if (add_chunks(w, w->held.data, w->held.length, true, err) < 0)
    return -1;
  return prepare_list(w, id, ret, err);
}

int st_store_writer_finish(struct st_store_writer *w, struct st_id *ret, struct st_error *err)
{
  ST_AUTO_PREPARED prepared = {0};
  ret->keyed = w->secret;
  st_digester_final(w->digester, ret->digest);
  if (prepare_rest(w, ret, &prepared, err) < 0)
    return -1;
  if (!prepared.known && w->length == w->held.length)
    w->kept += w->length;
  return st_store_append(w->store, &prepared, err);
}

static int add_file(struct st_store_writer *w, int fd, char *piece, struct st_error *err)
{
  for (;;) {
    ssize_t n = read(fd, piece, PIECE);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return st_fail(err, errno, "cannot read it");
    if (n == 0)
      return 0;
    if (st_store_writer_add(w, piece, (size_t)n, err) < 0)
      return -1;
  }
}

int st_store_put_fd(struct st_store *store, int fd, bool secret, const struct st_id *previous,
                    struct st_id *ret, uint64_t *ret_length, struct st_error *err)
{
  ST_CLEANUP(st_store_writer_freep) struct st_store_writer *w = NULL;
  ST_AUTO_FREE char *piece = st_malloc(PIECE);
  if (st_store_writer_new(&w, store, secret, previous, err) < 0)
    return -1;
  int r = add_file(w, fd, piece, err);
  if (secret)
    explicit_bzero(piece, PIECE);
  *ret_length = w->length;
  return r < 0 ? r : st_store_writer_finish(w, ret, err);
}
