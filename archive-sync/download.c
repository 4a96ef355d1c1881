/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "archive-sync/download.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "archive-sync/wire.h"
#include "systracker/base/file.h"
#include "systracker/store/chunklist.h"

#define PART ST_REMOTE_DIR "/part"
/* One answer: records of ST_WIRE_PACK_MAX, and one more that may be larger by itself. */
#define ANSWER_MAX (4 * ST_WIRE_PACK_MAX)

struct download {
  struct st_pull *pull;
  struct st_remote *remote;
  const char *path;
  int file; /* what an answer has */
  bool chunks;
};

int st_download_file(int store_dirfd, struct st_error *err)
{
  if (st_make_dirs(store_dirfd, ST_REMOTE_DIR, 0700, err) < 0)
    return -1;
  unlinkat(store_dirfd, PART, 0);
  int fd = st_open_beneath(store_dirfd, PART, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0)
    return st_fail(err, -fd, "cannot create (" PART ")");
  unlinkat(store_dirfd, PART, 0);
  return fd;
}

/* ---- One answer --------------------------------------------------------------------------------
 */

static int ask(struct download *d, const struct st_ids *ids, struct st_error *err)
{
  ST_AUTO_BUFFER body = ST_BUFFER_INIT;
  ST_AUTO_REMOTE_CALL call = {.method = "POST", .path = d->path, .to = d->file, .max = ANSWER_MAX};
  for (size_t i = 0; i < ids->count; i++)
    st_wire_add_id(&body, &ids->items[i]);
  call.body = body.data;
  call.length = body.length;
  if (ftruncate(d->file, 0) < 0 || lseek(d->file, 0, SEEK_SET) < 0)
    return st_fail(err, errno, "cannot write what is fetched");
  if (st_remote_call(d->remote, &call, err) < 0)
    return -1;
  if (call.status != 200)
    return st_remote_fail(d->remote, &call, err);
  return lseek(d->file, 0, SEEK_SET) < 0 ? st_fail(err, errno, "cannot read what was fetched") : 0;
}

/* Lists wait for their chunks. */
struct lists {
  struct st_parcel *items;
  size_t count;
  struct st_ids chunks;
};

static void lists_clear(struct lists *l)
{
  for (size_t i = 0; i < l->count; i++)
    st_parcel_clear(&l->items[i]);
  free(l->items);
  st_ids_clear(&l->chunks);
}

static void add_chunks(struct download *d, struct lists *l, struct st_parcel *list)
{
  struct st_chunk chunk;
  size_t at = 0;
  const char *data = list->payload.data ? list->payload.data : "";
  while (st_chunklist_next(data, list->payload.length, list->record.id.keyed, &at, &chunk) > 0)
    if (!st_store_has_whole(d->pull->t->store, &chunk.id))
      st_ids_add(&l->chunks, &chunk.id);
  l->items = st_realloc(l->items, l->count + 1, sizeof(*l->items));
  l->items[l->count++] = *list;
  *list = (struct st_parcel){0};
}

/* What is damaged is said once the others are there: it stays missing. */
static int import(struct download *d, const struct st_parcel *parcel, struct st_error *err)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  bool had = st_store_has_whole(d->pull->t->store, &parcel->record.id);
  int r = st_store_import(d->pull->t->store, parcel, &why);
  if (r < 0 && why.code != 0)
    return st_fail(err, 0, "%s", st_error_text(&why));
  d->pull->result->objects += r == 0 && !had && !d->chunks;
  if (r < 0)
    fprintf(stderr, "systracker: %s\n", st_error_text(&why));
  return 0;
}

static int take_answer(struct download *d, struct lists *lists, struct st_error *err)
{
  for (;;) {
    ST_AUTO_PARCEL parcel = {0};
    int r = st_wire_read_parcel(d->file, &parcel, err);
    if (r <= 0)
      return r;
    if (parcel.record.encoding == ST_ENCODING_LIST && !d->chunks)
      add_chunks(d, lists, &parcel);
    else if (import(d, &parcel, err) < 0)
      return -1;
  }
}

/* ---- All that are asked for --------------------------------------------------------------------
 */

static int bring(struct download *d, const struct st_id *ids, size_t count, struct st_error *err);

static int finish_lists(struct download *d, struct lists *lists, struct st_error *err)
{
  if (lists->count == 0)
    return 0;
  struct download chunks = *d;
  chunks.chunks = true;
  if (bring(&chunks, lists->chunks.items, lists->chunks.count, err) < 0)
    return -1;
  for (size_t i = 0; i < lists->count; i++)
    if (import(d, &lists->items[i], err) < 0)
      return -1;
  return 0;
}

static void still_missing(struct download *d, const struct st_ids *asked, struct st_ids *ret)
{
  for (size_t i = 0; i < asked->count; i++)
    if (!st_store_has_whole(d->pull->t->store, &asked->items[i]))
      st_ids_add(ret, &asked->items[i]);
}

static int bring_once(struct download *d, const struct st_ids *ids, struct st_error *err)
{
  ST_CLEANUP(lists_clear) struct lists lists = {0};
  if (ask(d, ids, err) < 0 || take_answer(d, &lists, err) < 0)
    return -1;
  return finish_lists(d, &lists, err);
}

static void pass_over(struct download *d, const struct st_ids *ids)
{
  for (size_t i = 0; i < ids->count; i++) {
    ST_AUTO_ERROR why = ST_ERROR_INIT;
    ST_AUTO_BUFFER content = ST_BUFFER_INIT;
    if (st_store_get(d->pull->t->store, &ids->items[i], &content, &why) < 0 && !d->chunks)
      st_pull_passed_over(d->pull, &why);
    if (content.length > 0)
      explicit_bzero(content.data, content.length);
  }
}

/* An answer is bounded, so the rest is asked for again, as long as something comes. */
static int bring_some(struct download *d, const struct st_id *ids, size_t count,
                      struct st_error *err)
{
  ST_AUTO_IDS missing = {0};
  for (size_t i = 0; i < count; i++)
    if (!st_store_has_whole(d->pull->t->store, &ids[i]))
      st_ids_add(&missing, &ids[i]);
  while (missing.count > 0) {
    ST_AUTO_IDS left = {0};
    if (bring_once(d, &missing, err) < 0)
      return -1;
    still_missing(d, &missing, &left);
    bool progress = left.count < missing.count;
    struct st_ids swap = missing;
    missing = left;
    left = swap;
    if (progress)
      continue;
    pass_over(d, &missing);
    break;
  }
  return 0;
}

static int bring(struct download *d, const struct st_id *ids, size_t count, struct st_error *err)
{
  for (size_t at = 0; at < count; at += ST_WIRE_IDS_MAX) {
    size_t n = count - at < ST_WIRE_IDS_MAX ? count - at : ST_WIRE_IDS_MAX;
    if (bring_some(d, ids + at, n, err) < 0)
      return -1;
  }
  return 0;
}

int st_download_objects(struct st_pull *p, struct st_remote *r, const char *path,
                        const struct st_id *ids, size_t count, struct st_error *err)
{
  ST_AUTO_CLOSE int file = count > 0 ? st_download_file(p->t->store_dir, err) : -1;
  struct download d = {.pull = p, .remote = r, .path = path, .file = file};
  if (count == 0)
    return 0;
  return file < 0 ? -1 : bring(&d, ids, count, err);
}
