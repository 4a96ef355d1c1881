/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "restore/pouring.h"

#include "restore/signals.h"
#include "systracker/base/escape.h"
#include "systracker/base/mapped.h"

#define AT_ONCE 8               /* files that get the same content as it is decoded */
#define PIECE ((size_t)1 << 18) /* bytes that are read at once, of a file that is not mapped */
/* Bytes from which on a content is proved alone, as it comes: beside the few that are held with it
 * it would be hashed by itself all the same, and need not be mapped for that. */
#define ALONE ((uint64_t)12 << 20)

/* ---- Files ----------------------------------------------------------------------------------- */

/* Files that are to have the same content. */
struct pouring {
  struct st_stage *stage;
  struct going *going;
  size_t count;
  struct {
    uint32_t action;
    bool open, problem;
    struct st_pour pour;
  } files[AT_ONCE];
  bool full;     /* nothing more could be written, */
  size_t failed; /* to this one */
  uint64_t size;
};

static void give_up(struct pouring *p, size_t n)
{
  const struct st_action *a = action_of(p->stage, p->files[n].action);
  int parent = st_stage_parent_of(p->stage, p->going, p->files[n].action);
  if (p->files[n].pour.fd >= 0)
    close(p->files[n].pour.fd);
  if (parent >= 0)
    unlinkat(parent, name_of(a), 0);
  p->files[n].open = false;
}

static int open_file(struct pouring *p, uint32_t action, struct st_error *err)
{
  size_t n = p->count++;
  const struct st_action *a = action_of(p->stage, action);
  p->files[n].action = action;
  p->files[n].open = p->files[n].problem = false;
  const struct st_put put = st_stage_put_of(p->stage, action, &p->files[n].problem);
  int parent = st_stage_parent_of(p->stage, p->going, action);
  if (parent < 0)
    return 0;
  if (st_pour_open(&p->files[n].pour, &put, parent, name_of(a), &a->after, err) < 0)
    return st_stage_fail(p->stage, action, err);
  p->files[n].open = true;
  return 0;
}

/* Where one of them takes no more, the others do. */
static int pour(void *arg, const void *data, size_t length, struct st_error *err)
{
  struct pouring *p = arg;
  p->size += length;
  for (size_t n = 0; n < p->count; n++) {
    if (!p->files[n].open || st_pour_piece(&p->files[n].pour, data, length, err) == 0)
      continue;
    p->failed = n;
    p->full = ends_everything(err->code);
    if (p->full)
      return -1;
    st_error_clear(err);
    give_up(p, n);
  }
  return 0;
}

/* All was handed over.  0, or 1, said: nothing more can be written. */
static int end_file(struct pouring *p, size_t n)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  st_flusher_note(p->stage->flusher, p->files[n].pour.fd, p->size);
  if (st_pour_end(&p->files[n].pour, &why) == 0)
    return 0;
  give_up(p, n);
  return st_stage_fail(p->stage, p->files[n].action, &why);
}

/* What is in it was proved. */
static int finish_file(struct pouring *p, size_t n)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  uint32_t action = p->files[n].action;
  const struct st_put put = st_stage_put_of(p->stage, action, &p->files[n].problem);
  int r = st_pour_finish(&p->files[n].pour, &put, &why);
  if (r < 0 || p->files[n].problem)
    give_up(p, n);
  p->stage->items[action].ready = p->files[n].open;
  return r < 0 ? st_stage_fail(p->stage, action, &why) : 0;
}

static int end_files(struct pouring *p)
{
  int r = 0;
  for (size_t n = 0; n < p->count && r == 0; n++)
    if (p->files[n].open)
      r = end_file(p, n);
  return r;
}

/* The content is proved, whether or not a file has it by then. */
static int finish_files(struct pouring *p)
{
  int r = 0;
  for (size_t n = 0; n < p->count; n++) {
    struct item *poured = &p->stage->items[p->files[n].action];
    poured->size = p->size;
    poured->proved = true;
    if (p->files[n].open && r == 0)
      r = finish_file(p, n);
    else if (p->files[n].open)
      give_up(p, n);
  }
  return r;
}

static void give_all_up(struct pouring *p)
{
  for (size_t n = 0; n < p->count; n++)
    if (p->files[n].open)
      give_up(p, n);
}

/* Some of those that are to have the content of `*action`, which becomes the first one that is
 * left.  1: nothing more can be written, and none is open. */
static int open_files(struct pouring *p, uint32_t *action)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  int r = 0;
  while (p->count < AT_ONCE && *action != ST_CONTENTS_END && r == 0) {
    st_error_clear(&why);
    r = open_file(p, *action, &why);
    *action = p->stage->contents.next[*action];
  }
  if (r != 0)
    give_all_up(p);
  return r;
}

/* ---- Contents that are proved before, or as they come ------------------------------------------
 */

/* Nothing of it is left.  1: nothing more can be written.  The store may fail with the same code as
 * what is written to. */
static int refuse_content(struct pouring *p, const struct st_error *why)
{
  give_all_up(p);
  if (p->full)
    return st_stage_fail(p->stage, p->files[p->failed].action, why);
  ST_AUTO_FREE char *words = st_format(
      "%s; `systracker verify` says what is damaged, leaving this path out restores the others",
      st_error_text(why));
  for (size_t n = 0; n < p->count; n++)
    st_stage_refuse(p->stage, action_of(p->stage, p->files[n].action)->path,
                    "its content cannot be read: ", words);
  return 0;
}

/* A content, and where it is in memory once it was proved along with others. */
struct wanted {
  const struct st_content_item *item;
  const struct st_asked *asked;
};

static int pour_content(struct pouring *p, const struct wanted *w, struct st_error *err)
{
  const struct st_asked *a = w->asked;
  if (!a->proved)
    return st_store_get_at(p->going->store, a->id, a->at, pour, p, err);
  return a->length > 0 ? pour(p, p->going->several.data + a->offset, a->length, err) : 0;
}

static int pour_all(struct pouring *p, const struct wanted *w)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  if (pour_content(p, w, &why) < 0)
    return refuse_content(p, &why);
  int r = end_files(p);
  if (r == 0)
    return finish_files(p);
  give_all_up(p);
  return r;
}

/* 1: nothing more can be written. */
static int put_content(struct st_stage *s, struct going *g, const struct wanted *w)
{
  uint32_t action = w->item->file;
  int r = 0;
  while (action != ST_CONTENTS_END && r == 0) {
    struct pouring p = {.stage = s, .going = g};
    r = open_files(&p, &action);
    if (r == 0)
      r = pour_all(&p, w);
  }
  return r;
}

static struct st_asked ask(const struct st_stage *s, const struct st_content_item *item)
{
  return (struct st_asked){&action_of(s, item->file)->after.digest, &item->at, 0, 0, false};
}

/* Those of a share that is a few megabytes are read together. */
static int put_together(struct st_stage *s, struct going *g, const struct st_share *share)
{
  const struct st_content_item *items = &s->contents.items[share->from];
  size_t count = share->to - share->from;
  ST_AUTO_FREE struct st_asked *asked = st_calloc(count + 1, sizeof(*asked));
  int r = 0;
  for (size_t i = 0; i < count; i++)
    asked[i] = ask(s, &items[i]);
  st_buffer_clear(&g->several);
  if (count > 1)
    st_store_get_several(g->store, g->hashes, asked, count, &g->several);
  for (size_t i = 0; i < count && r == 0; i++)
    r = put_content(s, g, &(struct wanted){&items[i], &asked[i]});
  return r;
}

/* ---- Contents that are proved by what is in the files ------------------------------------------
 */

/* One that was poured into files, of which the first is looked at. */
struct held {
  struct pouring pouring;
  struct st_mapped mapped;
  uint8_t digest[ST_DIGEST_SIZE];
  bool alone, poured, agrees;
};

static const struct st_id *id_of(const struct held *h)
{
  return &action_of(h->pouring.stage, h->pouring.files[0].action)->after.digest;
}

static int first_open(const struct pouring *p)
{
  for (size_t n = 0; n < p->count; n++)
    if (p->files[n].open)
      return p->files[n].pour.fd;
  return -1;
}

/* To look at a hole through a mapping may fill it; and what too many files are to have is decoded
 * more than once. */
static bool may_be_held(const struct st_stage *s, uint32_t action)
{
  size_t n = 0;
  for (; action != ST_CONTENTS_END && n <= AT_ONCE; action = s->contents.next[action], n++)
    if (action_of(s, action)->after.holes)
      return false;
  return n <= AT_ONCE;
}

/* Where it fails but for what is written to, it is done once more, and said why. */
static int pour_held(struct held *h, const struct st_content_item *item)
{
  ST_AUTO_ERROR why = ST_ERROR_INIT;
  struct pouring *p = &h->pouring;
  uint32_t action = item->file;
  int r = may_be_held(p->stage, action) ? open_files(p, &action) : 0;
  if (r != 0 || first_open(p) < 0)
    return r;
  if (st_store_get_unproved(p->going->store, id_of(h), &item->at, pour, p, &why) == 0)
    r = end_files(p);
  else if (p->full)
    return refuse_content(p, &why);
  else
    give_all_up(p);
  h->poured = r == 0 && first_open(p) >= 0;
  return r;
}

/* As it is hashed in a mapping, where the file system has none that counts. */
static void hash_by_reading(struct held *h)
{
  ST_AUTO_FREE char *piece = st_malloc(PIECE);
  ST_CLEANUP(st_digester_freep) struct st_digester *d = st_digester_new(NULL);
  int fd = first_open(&h->pouring);
  off_t at = 0;
  ssize_t n;
  while ((n = pread(fd, piece, PIECE, at)) > 0 || (n < 0 && errno == EINTR)) {
    st_digester_add(d, piece, n > 0 ? (size_t)n : 0);
    at += n > 0 ? n : 0;
  }
  st_digester_final(d, h->digest);
}

static void hash_all(struct going *g, struct held *held, size_t count)
{
  ST_AUTO_FREE struct st_hash *hash = st_calloc(count + 1, sizeof(*hash));
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    struct held *h = &held[i];
    if (!h->poured)
      continue;
    if (st_mapped_open(&h->mapped, first_open(&h->pouring), h->pouring.size) == 0) {
      hash[n++] = (struct st_hash){h->mapped.data, h->mapped.length, h->digest};
    } else {
      hash_by_reading(h);
    }
  }
  st_hashes_compute(g->hashes, hash, n);
}

static void prove_all(struct going *g, struct held *held, size_t count)
{
  hash_all(g, held, count);
  for (size_t i = 0; i < count; i++) {
    struct held *h = &held[i];
    h->agrees = h->poured && st_mapped_is_whole(&h->mapped) &&
                memcmp(h->digest, id_of(h)->digest, sizeof(h->digest)) == 0;
    st_mapped_close(&h->mapped);
  }
}

static int put_alone(struct held *h, const struct st_content_item *item)
{
  struct pouring *p = &h->pouring;
  const struct st_asked asked = ask(p->stage, item);
  return put_content(p->stage, p->going, &(struct wanted){item, &asked});
}

/* What does not agree is put as if it had not been. */
static int finish_held(struct held *h, const struct st_content_item *item)
{
  if (h->alone)
    return 0;
  if (h->agrees)
    return finish_files(&h->pouring);
  give_all_up(&h->pouring);
  return put_alone(h, item);
}

static int begin_held(struct held *h, const struct st_content_item *item)
{
  if (st_signals_pending())
    return 1;
  h->alone = item->at.raw >= ALONE;
  return h->alone ? put_alone(h, item) : pour_held(h, item);
}

/* Their files stay open until all of them are hashed at once. */
static int put_large(struct st_stage *s, struct going *g, const struct st_share *share)
{
  const struct st_content_item *items = &s->contents.items[share->from];
  size_t count = share->to - share->from;
  ST_AUTO_FREE struct held *held = st_calloc(count, sizeof(*held));
  int r = 0;
  for (size_t i = 0; i < count; i++) {
    held[i].pouring = (struct pouring){.stage = s, .going = g};
    if (r == 0)
      r = begin_held(&held[i], &items[i]);
  }
  if (r == 0)
    prove_all(g, held, count);
  for (size_t i = 0; i < count; i++) {
    if (r == 0)
      r = finish_held(&held[i], &items[i]);
    else
      give_all_up(&held[i].pouring);
  }
  return r;
}

int st_stage_put_share(struct st_stage *s, struct going *g, const struct st_share *share)
{
  return share->large ? put_large(s, g, share) : put_together(s, g, share);
}
